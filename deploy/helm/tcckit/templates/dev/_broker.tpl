{{/* tcckit.brokerConf: the development broker's settings: small files, for each of them is mapped as a whole, and topics
only as the services make them. */}}
{{- define "tcckit.brokerConf" -}}
brokerClusterName=DefaultCluster
brokerName=broker-a
brokerId=0
listenPort=10911
storePathRootDir=/data/store
autoCreateTopicEnable=false
registerNameServerPeriod=10000
mappedFileSizeCommitLog=67108864
mappedFileSizeConsumeQueue=60000
maxHashSlotNum=10000
maxIndexNum=40000
waitTimeMillsInSendQueue=5000
{{- end -}}
