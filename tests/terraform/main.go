// A stand-in for Terraform's provider of AWS. It has the names, types and limits of the real one, which
// provider.py reads from its bindings, and nothing behind them: a plan leaves open what AWS would
// decide, an apply makes it up, and data sources have fixed answers.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

type attribute struct {
	Type                         any
	Required, Optional, Computed bool
}

type block struct {
	Attributes map[string]attribute
	Blocks     map[string]block
	Nesting    string
	Max, Min   int64
	Attribute  bool
}

var known struct {
	Provider        block
	Resources, Data map[string]block
}

// What AWS counts up, or names anew, whenever a resource is changed.
var renewed = map[string][]string{
	"aws_launch_template": {"latest_version"},
	"aws_s3_object":       {"version_id", "etag"},
}

func main() {
	raw, err := os.ReadFile(os.Getenv("SNOWMELT_STANDIN_SCHEMA"))
	if err == nil {
		err = json.Unmarshal(raw, &known)
	}
	if err == nil {
		err = tf5server.Serve("registry.terraform.io/hashicorp/aws",
			func() tfprotov5.ProviderServer { return &server{} })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type server struct {
	tfprotov5.ProviderServer
	region string
}

func (s *server) PlanResourceChange(_ context.Context, r *tfprotov5.PlanResourceChangeRequest) (*tfprotov5.PlanResourceChangeResponse, error) {
	kind := known.Resources[r.TypeName]
	planned := fields(r.ProposedNewState, kind)
	if planned == nil {
		return &tfprotov5.PlanResourceChangeResponse{PlannedState: r.ProposedNewState}, nil
	}
	for name, a := range kind.Attributes {
		if value := planned[name]; a.Computed && value.IsKnown() && value.IsNull() {
			planned[name] = tftypes.NewValue(typeOf(a.Type), tftypes.UnknownValue)
		}
	}
	if prior := fields(r.PriorState, kind); prior != nil && !equal(prior, planned) {
		for _, name := range renewed[r.TypeName] {
			planned[name] = tftypes.NewValue(typeOf(kind.Attributes[name].Type), tftypes.UnknownValue)
		}
	}
	state, err := dynamic(planned, kind)
	return &tfprotov5.PlanResourceChangeResponse{PlannedState: state, PlannedPrivate: r.PriorPrivate}, err
}

func (s *server) ApplyResourceChange(_ context.Context, r *tfprotov5.ApplyResourceChangeRequest) (*tfprotov5.ApplyResourceChangeResponse, error) {
	kind := known.Resources[r.TypeName]
	planned := fields(r.PlannedState, kind)
	if planned == nil {
		return &tfprotov5.ApplyResourceChangeResponse{NewState: r.PlannedState}, nil
	}
	prior := fields(r.PriorState, kind)
	called := r.TypeName
	for _, name := range []string{"bucket", "name", "function_name"} {
		if text := text(planned[name]); text != "" {
			called = text
			break
		}
	}
	configuration, _ := json.Marshal(plain(tftypes.NewValue(objectOf(kind), planned)))
	for name, value := range planned {
		planned[name], _ = tftypes.Transform(value, func(_ *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
			if v.IsKnown() {
				return v, nil
			}
			switch {
			case v.Type().Is(tftypes.String):
				made := called
				switch name {
				case "arn":
					made = "arn:aws:" + strings.TrimPrefix(r.TypeName, "aws_") + ":::" + called
				case "version_id", "etag":
					made = fmt.Sprintf("%x", sha256.Sum256(configuration))[:16]
				}
				return tftypes.NewValue(tftypes.String, made), nil
			case v.Type().Is(tftypes.Number):
				return tftypes.NewValue(tftypes.Number, number(prior[name])+1), nil
			case v.Type().Is(tftypes.Bool):
				return tftypes.NewValue(tftypes.Bool, false), nil
			case v.Type().Is(tftypes.Map{}):
				return tftypes.NewValue(v.Type(), map[string]tftypes.Value{}), nil
			}
			return tftypes.NewValue(v.Type(), []tftypes.Value{}), nil
		})
	}
	state, err := dynamic(planned, kind)
	return &tfprotov5.ApplyResourceChangeResponse{NewState: state}, err
}

func (s *server) ReadDataSource(_ context.Context, r *tfprotov5.ReadDataSourceRequest) (*tfprotov5.ReadDataSourceResponse, error) {
	kind := known.Data[r.TypeName]
	answer := fields(r.Config, kind)
	set := func(name, value string) {
		if _, ok := kind.Attributes[name]; ok {
			answer[name] = tftypes.NewValue(tftypes.String, value)
		}
	}
	set("id", r.TypeName)
	switch r.TypeName {
	case "aws_region":
		set("name", s.region)
		set("region", s.region)
	case "aws_partition":
		set("partition", "aws")
		set("dns_suffix", "amazonaws.com")
	case "aws_caller_identity":
		set("account_id", "123456789012")
		set("arn", "arn:aws:iam::123456789012:user/operator")
	case "aws_ssm_parameter":
		set("value", "ami-0123456789abcdef0")
	case "aws_iam_policy_document":
		policy, err := document(answer)
		if err != nil {
			return nil, err
		}
		set("json", policy)
	case "aws_kinesis_stream": // of three shards that are open
		shards := []tftypes.Value{}
		for n := range 3 {
			shards = append(shards, tftypes.NewValue(tftypes.String, fmt.Sprintf("shardId-%012d", n)))
		}
		answer["open_shards"] = tftypes.NewValue(typeOf(kind.Attributes["open_shards"].Type), shards)
	default:
		return nil, fmt.Errorf("the stand-in has no answer for %s", r.TypeName)
	}
	state, err := dynamic(answer, kind)
	return &tfprotov5.ReadDataSourceResponse{State: state}, err
}

// The policy that the statements say, as IAM reads it.
func document(m map[string]tftypes.Value) (string, error) {
	statements := []any{}
	all, _ := plain(m["statement"]).([]any)
	for _, each := range all {
		from := each.(map[string]any)
		to := map[string]any{"Effect": "Allow"}
		copied := map[string]string{"sid": "Sid", "effect": "Effect", "actions": "Action",
			"not_actions": "NotAction", "resources": "Resource", "not_resources": "NotResource"}
		for name, as := range copied {
			if value, ok := from[name]; ok {
				to[as] = value
			}
		}
		for _, p := range list(from["principals"]) {
			principals := map[string]any{}
			principal := p.(map[string]any)
			principals[fmt.Sprint(principal["type"])] = principal["identifiers"]
			to["Principal"] = principals
		}
		conditions := map[string]map[string]any{}
		for _, c := range list(from["condition"]) {
			condition := c.(map[string]any)
			test := fmt.Sprint(condition["test"])
			if conditions[test] == nil {
				conditions[test] = map[string]any{}
			}
			conditions[test][fmt.Sprint(condition["variable"])] = condition["values"]
		}
		if len(conditions) > 0 {
			to["Condition"] = conditions
		}
		statements = append(statements, to)
	}
	text, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": statements}, "", " ")
	return string(text), err
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// A value as JSON has it; what is absent or open is left out.
func plain(v tftypes.Value) any {
	if !v.IsKnown() || v.IsNull() {
		return nil
	}
	switch {
	case v.Type().Is(tftypes.String):
		return text(v)
	case v.Type().Is(tftypes.List{}), v.Type().Is(tftypes.Set{}):
		var items []tftypes.Value
		_ = v.As(&items)
		out := []any{}
		for _, item := range items {
			out = append(out, plain(item))
		}
		return out
	case v.Type().Is(tftypes.Object{}), v.Type().Is(tftypes.Map{}):
		m := map[string]tftypes.Value{}
		_ = v.As(&m)
		out := map[string]any{}
		for name, item := range m {
			if p := plain(item); p != nil {
				out[name] = p
			}
		}
		return out
	}
	return v.String()
}

func text(v tftypes.Value) string {
	var s string
	if v.Type() != nil && v.Type().Is(tftypes.String) && v.IsKnown() && !v.IsNull() {
		_ = v.As(&s)
	}
	return s
}

func number(v tftypes.Value) int64 {
	if v.Type() == nil || !v.IsKnown() || v.IsNull() {
		return 0
	}
	var n int64
	_, _ = fmt.Sscan(strings.Trim(strings.TrimPrefix(v.String(), "tftypes.Number<"), `">`), &n)
	return n
}

func equal(a, b map[string]tftypes.Value) bool {
	for name, value := range b {
		if !value.Equal(a[name]) {
			return false
		}
	}
	return true
}

func fields(d *tfprotov5.DynamicValue, b block) map[string]tftypes.Value {
	v, err := d.Unmarshal(objectOf(b))
	if err != nil {
		panic(err)
	}
	if v.IsNull() {
		return nil
	}
	m := map[string]tftypes.Value{}
	if err := v.As(&m); err != nil {
		panic(err)
	}
	return m
}

func dynamic(m map[string]tftypes.Value, b block) (*tfprotov5.DynamicValue, error) {
	d, err := tfprotov5.NewDynamicValue(objectOf(b), tftypes.NewValue(objectOf(b), m))
	return &d, err
}

func typeOf(t any) tftypes.Type {
	if name, ok := t.(string); ok {
		return map[string]tftypes.Type{"string": tftypes.String, "number": tftypes.Number,
			"bool": tftypes.Bool, "dynamic": tftypes.DynamicPseudoType}[name]
	}
	pair := t.([]any)
	element := typeOf(pair[1])
	switch pair[0] {
	case "list":
		return tftypes.List{ElementType: element}
	case "set":
		return tftypes.Set{ElementType: element}
	}
	return tftypes.Map{ElementType: element}
}

func objectOf(b block) tftypes.Type { return schema(b).ValueType() }

func schema(b block) *tfprotov5.Schema { return &tfprotov5.Schema{Block: schemaBlock(b)} }

func schemaBlock(b block) *tfprotov5.SchemaBlock {
	s := &tfprotov5.SchemaBlock{}
	for name, a := range b.Attributes {
		s.Attributes = append(s.Attributes, &tfprotov5.SchemaAttribute{Name: name, Type: typeOf(a.Type),
			Required: a.Required, Optional: a.Optional, Computed: a.Computed})
	}
	modes := map[string]tfprotov5.SchemaNestedBlockNestingMode{
		"list":   tfprotov5.SchemaNestedBlockNestingModeList,
		"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
		"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
	}
	for name, inner := range b.Blocks {
		if inner.Attribute {
			s.Attributes = append(s.Attributes, &tfprotov5.SchemaAttribute{Name: name,
				Type:     tftypes.List{ElementType: objectOf(inner)},
				Optional: inner.Min == 0, Required: inner.Min > 0})
			continue
		}
		nested := &tfprotov5.SchemaNestedBlock{TypeName: name, Block: schemaBlock(inner), Nesting: modes[inner.Nesting]}
		if inner.Nesting != "single" {
			nested.MinItems, nested.MaxItems = inner.Min, inner.Max
		}
		s.BlockTypes = append(s.BlockTypes, nested)
	}
	return s
}

func (s *server) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	r := &tfprotov5.GetProviderSchemaResponse{Provider: schema(known.Provider),
		ResourceSchemas: map[string]*tfprotov5.Schema{}, DataSourceSchemas: map[string]*tfprotov5.Schema{}}
	for name, b := range known.Resources {
		r.ResourceSchemas[name] = schema(b)
	}
	for name, b := range known.Data {
		r.DataSourceSchemas[name] = schema(b)
	}
	return r, nil
}

func (s *server) GetResourceIdentitySchemas(context.Context, *tfprotov5.GetResourceIdentitySchemasRequest) (*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

func (s *server) PrepareProviderConfig(_ context.Context, r *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}

func (s *server) ConfigureProvider(_ context.Context, r *tfprotov5.ConfigureProviderRequest) (*tfprotov5.ConfigureProviderResponse, error) {
	s.region = text(fields(r.Config, known.Provider)["region"])
	return &tfprotov5.ConfigureProviderResponse{}, nil
}

func (s *server) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func (s *server) ValidateResourceTypeConfig(context.Context, *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	return &tfprotov5.ValidateResourceTypeConfigResponse{}, nil
}

func (s *server) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

func (s *server) UpgradeResourceState(_ context.Context, r *tfprotov5.UpgradeResourceStateRequest) (*tfprotov5.UpgradeResourceStateResponse, error) {
	b := known.Resources[r.TypeName]
	v, err := r.RawState.Unmarshal(objectOf(b))
	if err != nil {
		return nil, err
	}
	d, err := tfprotov5.NewDynamicValue(objectOf(b), v)
	return &tfprotov5.UpgradeResourceStateResponse{UpgradedState: &d}, err
}

func (s *server) ReadResource(_ context.Context, r *tfprotov5.ReadResourceRequest) (*tfprotov5.ReadResourceResponse, error) {
	return &tfprotov5.ReadResourceResponse{NewState: r.CurrentState}, nil
}
