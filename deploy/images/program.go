package main

// A program is what one image holds, and what the image must be like, however it was made.
type program struct {
	name        string // of the image, of its file in the root folder and of its archive
	title       string
	description string
	env         []string
	ports       []string
	// data is a folder that belongs to the image's user, empty if there is none: the only place where the program
	// may write, and only if a volume is there.
	data string
	// maxCompressed bounds what has to be fetched to run it, in bytes.
	maxCompressed int64
}

const (
	source   = "https://github.com/tcckit/tcckit"
	licenses = "Apache-2.0"
	// registry is where released images are found; the chart and the compose file name it, too.
	registry = "ghcr.io/tcckit"
	// user is a number, for Kubernetes' runAsNonRoot cannot judge a name.
	user  = 65532
	owner = "65532:65532"
)

func programs() []program {
	return []program{
		{
			name: "tcckit", title: "tcckit",
			description:   "The services of the shop, Try/Confirm/Cancel over gRPC, and the commands that look after them",
			ports:         []string{"7401/tcp", "7402/tcp", "7403/tcp", "7404/tcp"},
			maxCompressed: 25e6,
		},
		{
			name: "dtm-server", title: "dtm-server",
			description:   "The DTM coordinator, with its console, for tcckit",
			env:           []string{"DATA_DIR=/data"},
			ports:         []string{"36789/tcp", "36790/tcp", "36791/tcp", "36792/tcp"},
			data:          "/data",
			maxCompressed: 30e6,
		},
	}
}

// reference is what an image of a version is called.
func (p program) reference(version string) string { return registry + "/" + p.name + ":" + version }

// labels are those of the OCI image specification.
func (p program) labels(r release) map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":       p.title,
		prefix + "description": p.description,
		prefix + "source":      source,
		prefix + "licenses":    licenses,
		prefix + "version":     r.version,
		prefix + "revision":    r.revision,
		prefix + "created":     r.created(),
	}
}
