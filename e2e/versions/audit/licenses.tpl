# Licenses

What the program is made of, besides Go's standard library, and under which license. `make
licenses` writes this page and fails on a license that is not in its list.

| Package | Version | License |
| --- | --- | --- |
{{range .}}| {{.Name}} | {{.Version}} | {{.LicenseName}} |
{{end}}