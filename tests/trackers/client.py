"""What the tests track, by the tracker of PyPI: client.py HOST PORT METHOD."""

import sys

from snowplow_tracker import (
    Emitter,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

host, port, method = sys.argv[1:]
emitter = Emitter(host, protocol="http", port=int(port), method=method, batch_size=1)
subject = Subject().set_user_id("user-1").set_timezone("Europe/London").set_lang("en-GB")
subject.set_screen_resolution(1920, 1080)
tracker = Tracker(
    "ours",
    emitter,
    subject=subject,
    app_id=f"python-{method}",
    encode_base64=method == "get",
)
tracker.track(PageView("https://shop.test/cart?step=2#top", "Cart", "https://news.test/"))
tracker.track(StructuredEvent("cart", "add", "Zoë 日本 😀", "red", 9.75))
checkout = SelfDescribingJson(
    "iglu:com.acme/checkout/jsonschema/1-0-0", {"total": 12.5, "items": 3}
)
user = SelfDescribingJson("iglu:com.acme/user/jsonschema/1-0-0", {"tier": "gold"})
tracker.track(SelfDescribing(checkout, context=[user]))
tracker.flush()
