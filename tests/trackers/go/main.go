// What the tests track, by the tracker for Go: client HOST PORT METHOD.
package main

import (
	"os"
	"strings"

	"github.com/snowplow/snowplow-golang-tracker/v3/pkg/storage/memory"
	"github.com/snowplow/snowplow-golang-tracker/v3/tracker"
)

func to[T any](value T) *T { return &value }

func main() {
	host, port, method := os.Args[1], os.Args[2], os.Args[3]
	emitter := tracker.InitEmitter(
		tracker.RequireCollectorUri(host+":"+port),
		tracker.RequireStorage(memory.Init()),
		tracker.OptionProtocol("http"),
		tracker.OptionRequestType(strings.ToUpper(method)),
	)
	subject := tracker.InitSubject()
	subject.SetUserId("user-1")
	subject.SetTimeZone("Europe/London")
	subject.SetLanguage("en-GB")
	subject.SetScreenResolution(1920, 1080)
	ours := tracker.InitTracker(
		tracker.RequireEmitter(emitter),
		tracker.OptionNamespace("ours"),
		tracker.OptionAppId("go-"+method),
		tracker.OptionSubject(subject),
		tracker.OptionBase64Encode(method == "get"),
	)
	ours.TrackPageView(tracker.PageViewEvent{
		PageUrl:   to("https://shop.test/cart?step=2#top"),
		PageTitle: to("Cart"),
		Referrer:  to("https://news.test/"),
	})
	ours.TrackStructEvent(tracker.StructuredEvent{
		Category: to("cart"),
		Action:   to("add"),
		Label:    to("Zoë 日本 😀"),
		Property: to("red"),
		Value:    to(9.75),
	})
	ours.TrackSelfDescribingEvent(tracker.SelfDescribingEvent{
		Event: tracker.InitSelfDescribingJson(
			"iglu:com.acme/checkout/jsonschema/1-0-0",
			map[string]any{"total": 12.5, "items": 3},
		),
		Contexts: []tracker.SelfDescribingJson{*tracker.InitSelfDescribingJson(
			"iglu:com.acme/user/jsonschema/1-0-0",
			map[string]any{"tier": "gold"},
		)},
	})
	if left := ours.BlockingFlush(50, 100); left > 0 {
		os.Exit(1)
	}
}
