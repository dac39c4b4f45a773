module oracle

go 1.26.0

require github.com/vmware/govmomi v0.30.4
