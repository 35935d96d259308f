module snowmelt/tests/trackers

go 1.21

require github.com/snowplow/snowplow-golang-tracker/v3 v3.1.0

require (
	github.com/google/uuid v1.3.0 // indirect
	github.com/hashicorp/go-immutable-radix v1.3.1 // indirect
	github.com/hashicorp/go-memdb v1.3.4 // indirect
	github.com/hashicorp/golang-lru v0.5.4 // indirect
)
