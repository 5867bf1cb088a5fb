package manifest

// Object is a Kubernetes object of any kind.
type Object struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`

	// Data is a Secret's or ConfigMap's. A Secret's is in base64.
	Data map[string]string `json:"data"`
	// Spec is that of a Deployment, StatefulSet, Job, CronJob, Pod or Service.
	Spec Spec `json:"spec"`
}

// Metadata is an object's or a pod template's.
type Metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Spec has the fields of all kinds that have a spec.
type Spec struct {
	PodSpec // of a Pod

	Replicas    int       `json:"replicas"`
	Template    Template  `json:"template"`
	JobTemplate *struct { // of a CronJob
		Spec struct {
			Template Template `json:"template"`
		} `json:"spec"`
	} `json:"jobTemplate"`

	Selector any    `json:"selector"` // labels of a Service, matchLabels of others
	Ports    []Port `json:"ports"`    // of a Service
}

// Template is that of pods.
type Template struct {
	Metadata Metadata `json:"metadata"`
	Spec     PodSpec  `json:"spec"`
}

// PodSpec is a pod.
type PodSpec struct {
	InitContainers                []Container `json:"initContainers"`
	Containers                    []Container `json:"containers"`
	Volumes                       []Volume    `json:"volumes"`
	TerminationGracePeriodSeconds int         `json:"terminationGracePeriodSeconds"`
}

// Container is one of a pod.
type Container struct {
	Name           string   `json:"name"`
	Image          string   `json:"image"`
	Command        []string `json:"command"`
	Args           []string `json:"args"`
	Env            []Env    `json:"env"`
	VolumeMounts   []Mount  `json:"volumeMounts"`
	Ports          []Port   `json:"ports"`
	StartupProbe   *Probe   `json:"startupProbe"`
	LivenessProbe  *Probe   `json:"livenessProbe"`
	ReadinessProbe *Probe   `json:"readinessProbe"`
}

// Env is a variable of the environment.
type Env struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	ValueFrom *struct {
		SecretKeyRef *struct {
			Name string `json:"name"`
			Key  string `json:"key"`
		} `json:"secretKeyRef"`
		FieldRef *struct {
			FieldPath string `json:"fieldPath"`
		} `json:"fieldRef"`
	} `json:"valueFrom"`
}

// Mount puts a volume somewhere.
type Mount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
}

// Volume is a pod's: one of a Secret, a ConfigMap and an empty folder.
type Volume struct {
	Name   string `json:"name"`
	Secret *struct {
		SecretName string `json:"secretName"`
		Items      []struct {
			Key  string `json:"key"`
			Path string `json:"path"`
		} `json:"items"`
	} `json:"secret"`
	ConfigMap *struct {
		Name string `json:"name"`
	} `json:"configMap"`
	EmptyDir *struct{} `json:"emptyDir"`
}

// Port is a container's or a Service's.
type Port struct {
	Name          string `json:"name"`
	ContainerPort int    `json:"containerPort"`
	Port          int    `json:"port"`
	TargetPort    any    `json:"targetPort"`
}

// Probe is a kubelet's question.
type Probe struct {
	GRPC *struct {
		Port    int    `json:"port"`
		Service string `json:"service"`
	} `json:"grpc"`
	HTTPGet *struct {
		Path string `json:"path"`
		Port any    `json:"port"`
	} `json:"httpGet"`
	PeriodSeconds    int `json:"periodSeconds"`
	FailureThreshold int `json:"failureThreshold"`
}

// PodTemplate returns the pods that an object makes, false if it makes none.
func (o Object) PodTemplate() (Template, bool) {
	switch o.Kind {
	case "Deployment", "StatefulSet", "Job":
		return o.Spec.Template, true
	case "CronJob":
		return o.Spec.JobTemplate.Spec.Template, true
	case "Pod":
		return Template{Metadata: o.Metadata, Spec: o.Spec.PodSpec}, true
	}
	return Template{}, false
}

// Hook is what the object says about when Helm makes it, empty if it is part of the release.
func (o Object) Hook() string { return o.Metadata.Annotations["helm.sh/hook"] }
