package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const noAssertion = "NOASSERTION"

// A component is what an image was made of: a module or a package of some ecosystem.
type component struct {
	name, version string
	purl          string // its name in all ecosystems
	license       string // empty: unknown
	comment       string
}

// sbom is what an image with a digest holds, in SPDX 2.3.
func sbom(p program, digest v1.Hash, r release, components []component) *spdx.Document {
	image := spdxPackage("image", component{
		name: p.name, version: r.version, license: licenses,
		purl: fmt.Sprintf("pkg:oci/%s@%s?repository_url=%s/%s", p.name, digest, registry, p.name),
	})
	image.PrimaryPackagePurpose = "CONTAINER"
	image.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: digest.Hex}}
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: p.reference(r.version),
		DocumentNamespace: source + "/sbom/" + p.name + "/" + digest.Hex,
		CreationInfo: &spdx.CreationInfo{
			Created:  r.created(),
			Creators: []common.Creator{{CreatorType: "Organization", Creator: "tcckit"}, {CreatorType: "Tool", Creator: "deploy-images-" + r.version}},
		},
		Packages:      []*spdx.Package{image},
		Relationships: []*spdx.Relationship{related("DOCUMENT", "DESCRIBES", "image")},
	}
	for i, c := range components {
		id := fmt.Sprintf("component-%d", i+1)
		doc.Packages = append(doc.Packages, spdxPackage(id, c))
		doc.Relationships = append(doc.Relationships, related("image", "CONTAINS", id))
	}
	return doc
}

func spdxPackage(id string, c component) *spdx.Package {
	license := noAssertion
	if c.license != "" && !strings.ContainsAny(c.license, " ()") {
		license = c.license
	}
	return &spdx.Package{
		PackageName: c.name, PackageVersion: c.version, PackageSPDXIdentifier: common.ElementID(id), PackageDownloadLocation: noAssertion,
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: license, PackageCopyrightText: noAssertion, PackageComment: c.comment,
		PackageSupplier: &common.Supplier{Supplier: noAssertion},
		PackageExternalReferences: []*spdx.PackageExternalReference{
			{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: c.purl},
		},
	}
}

func related(a, how, b string) *spdx.Relationship {
	return &spdx.Relationship{RefA: common.MakeDocElementID("", a), RefB: common.MakeDocElementID("", b), Relationship: how}
}

func writeSBOM(to string, doc *spdx.Document) error {
	var out bytes.Buffer
	if err := spdxjson.Write(doc, &out, spdxjson.Indent("  "), spdxjson.EscapeHTML(false)); err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	return os.WriteFile(to, out.Bytes(), 0o600)
}
