"""Reads manifests of Kubernetes from the standard input, holds each against the schema of its kind, and writes them as JSON."""

import json
import sys

import kubernetes_validate
import yaml

manifests = list(yaml.safe_load_all(sys.stdin.read()))
version = kubernetes_validate.latest_version()
for manifest in manifests:
    kubernetes_validate.validate(manifest, version, strict=True)
# A name that nobody knows has to be found, or nothing was.
wrong = json.loads(json.dumps(manifests[0]))
wrong["spec"]["replica"] = 1
try:
    kubernetes_validate.validate(wrong, version, strict=True)
except kubernetes_validate.ValidationError:
    print(json.dumps(manifests))
else:
    sys.exit("a name that nobody knows was not found")
