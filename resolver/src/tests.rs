//! The resolver against registries that are told what to say, in paused time.

use std::time::Duration;

use event::reason::RegistryError;
use tokio::time::Instant;
use validator::Lookup;

use super::*;
use crate::registry::memory::Memory;
use crate::registry::{Answer, Asking};

const URI: &str = "iglu:com.acme/click/jsonschema/1-0-0";

/// A registry that the test keeps a hold of.
impl Registry for Arc<Memory> {
    fn get<'a>(&'a self, key: &'a SchemaKey, known: Option<&'a str>) -> Asking<'a> {
        (**self).get(key, known)
    }
}

fn key(uri: &str) -> SchemaKey {
    SchemaKey::parse(uri).expect("an Iglu URI")
}

fn found(text: &str) -> Answer {
    Answer::found(text)
}

fn down() -> Option<Answer> {
    let error = RegistryError::RepoFailure("down".into());
    Some(Answer::Unreachable { error, retry_after: None })
}

/// A resolver over one registry, beside the embedded one.
fn one() -> (Resolver, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let registry = Registered::new("Acme", Class::Http, Box::new(memory.clone()));
    (Resolver::embedded().with(registry), memory)
}

/// What is known of the key.
async fn ask(resolver: &Resolver) -> Lookup {
    resolver.resolve(&[key(URI)]).await.get(URI).expect("every key gets an answer").clone()
}

/// What accepts `1`, accepts `"x"`: tells schemas apart.
fn accepts(lookup: &Lookup, json: &str) -> bool {
    match lookup {
        Lookup::Found(schema) => schema.check(json).is_ok(),
        other => panic!("not found: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn registries_are_asked_in_the_peers_order() {
    let mut resolver = Resolver::embedded();
    let mut expected = Vec::new();
    for (name, class, priority, prefix) in [
        ("other vendor, first by priority", Class::Http, -9, "org."),
        ("b", Class::Http, 2, "com.ac"),
        ("a", Class::Http, 1, "com.acme"),
        ("folder", Class::Folder, 9, "com.acme"),
        ("override", Class::Override, 9, "org."),
    ] {
        let memory = Memory::default();
        memory.say(URI, found(&format!(r#"{{"enum":["{name}"]}}"#)));
        let registry = Registered::new(name, class, Box::new(memory));
        resolver = resolver.with(registry.ranked(priority, vec![prefix.to_owned()]));
        expected.push(name);
    }
    let order = |vendor: &str| {
        let mut order: Vec<_> = resolver.inner.registries.iter().collect();
        order.sort_by_key(|registry| registry.rank(vendor));
        order.iter().map(|registry| registry.name.as_str()).collect::<Vec<_>>()
    };
    let other = "other vendor, first by priority";
    assert_eq!(order("com.acme"), ["override", "folder", "a", "b", EMBEDDED, other]);
    assert_eq!(order("org.w3"), ["override", other, EMBEDDED, "folder", "a", "b"]);
    assert!(accepts(&ask(&resolver).await, "\"override\""));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_asked_for_once_however_many_want_it() {
    let (resolver, memory) = one();
    memory.say(URI, found("{}"));
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let resolver = resolver.clone();
        tasks.spawn(async move { ask(&resolver).await });
    }
    while let Some(lookup) = tasks.join_next().await {
        assert!(accepts(&lookup.expect("no panic"), "1"));
    }
    assert_eq!(memory.asked(), 1);
    assert!(resolver.inner.flights.lock().expect("no panic").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_nothing_behind() {
    let (resolver, memory) = one();
    memory.fail(down());
    let waiting = tokio::time::timeout(Duration::from_secs(1), ask(&resolver));
    waiting.await.expect_err("the registry is down");
    // What was given up is dropped when its turn comes.
    tokio::task::yield_now().await;
    assert!(resolver.inner.flights.lock().expect("no panic").is_empty());
    memory.fail(None);
    memory.say(URI, found("{}"));
    assert!(accepts(&ask(&resolver).await, "1"));
}

#[tokio::test(start_paused = true)]
async fn a_schema_published_now_works_within_a_minute() {
    let (resolver, memory) = one();
    let Lookup::Missing(history) = ask(&resolver).await else { panic!("nobody has it") };
    let names: Vec<_> = history.iter().map(|history| history.repository.as_str()).collect();
    assert_eq!(names, ["Acme", EMBEDDED]);
    assert!(matches!(ask(&resolver).await, Lookup::Missing(_)));
    assert_eq!(memory.asked(), 1);
    let fresh = resolver.clone();
    let mut keeper = JoinSet::new();
    keeper.spawn(async move { fresh.keep_fresh().await });
    memory.say(URI, found("{}"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(matches!(resolver.schemas().get(URI), Some(Lookup::Found(_))));
    assert_eq!(memory.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_any_more_is_forgotten() {
    let (resolver, memory) = one();
    ask(&resolver).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    resolver.freshen().await;
    assert_eq!((memory.asked(), resolver.figures().missing), (2, 1));
    tokio::time::sleep(Duration::from_secs(31)).await;
    resolver.freshen().await;
    assert_eq!((memory.asked(), resolver.figures().missing), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_known_schema_is_served_while_the_registry_is_down_and_renewed_after() {
    let (resolver, memory) = one();
    memory.say(URI, found(r#"{"type":"integer"}"#));
    assert!(accepts(&ask(&resolver).await, "1"));
    memory.fail(down());
    tokio::time::sleep(FOUND_TERM).await;
    resolver.freshen().await;
    assert!(accepts(&ask(&resolver).await, "1"));
    assert_eq!(resolver.figures().stale, 1);
    // It also survives being deleted.
    memory.fail(Some(Answer::NotFound));
    tokio::time::sleep(FOUND_TERM).await;
    resolver.schemas().get(URI);
    resolver.freshen().await;
    assert!(accepts(&ask(&resolver).await, "1"));
    memory.fail(None);
    memory.say(URI, found(r#"{"type":"string"}"#));
    tokio::time::sleep(FOUND_TERM).await;
    resolver.schemas().get(URI);
    resolver.freshen().await;
    assert!(accepts(&ask(&resolver).await, "\"x\""));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_waits_for_a_registry_that_comes_back() {
    let (resolver, memory) = one();
    memory.say(URI, found("{}"));
    memory.fail(down());
    let other = memory.clone();
    let mut repair = JoinSet::new();
    repair.spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        other.fail(None);
    });
    assert!(accepts(&ask(&resolver).await, "1"));
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_counted_from_the_registrys_first_failure() {
    let (resolver, memory) = one();
    memory.fail(down());
    let start = Instant::now();
    let Lookup::Unavailable(history) = ask(&resolver).await else { panic!("the registry is down") };
    assert!(
        (WAIT..WAIT + Duration::from_secs(1)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    let down = RegistryError::RepoFailure("down".into());
    assert_eq!(history[0].errors, [down]);
    let asked = memory.asked();
    assert!(asked < 15, "{asked} questions in half a minute");
    // Other keys do not wait again, and the registry is left alone.
    let others: Vec<SchemaKey> =
        (0..500).map(|n| key(&format!("iglu:com.acme/k{n}/jsonschema/1-0-0"))).collect();
    let start = Instant::now();
    let schemas = resolver.resolve(&others).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(matches!(schemas.get(&others[7].to_string()), Some(Lookup::Unavailable(_))));
    assert!(memory.asked() < asked + 40, "{} questions", memory.asked());
    // Once it is back, so are they.
    memory.fail(None);
    memory.say(URI, found("{}"));
    tokio::time::sleep(Duration::from_secs(31)).await;
    resolver.schemas().get(URI);
    resolver.freshen().await;
    assert!(accepts(&ask(&resolver).await, "1"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_troubles_a_registry_is_not_the_others_trouble() {
    let (resolver, memory) = one();
    let strange = |n: u32| key(&format!("iglu:com.bot/k{n}/jsonschema/1-0-0"));
    for n in 0..100 {
        memory.say(&strange(n).to_string(), down().expect("it is some"));
    }
    let good = |n: u32| key(&format!("iglu:com.acme/k{n}/jsonschema/1-0-0"));
    let start = Instant::now();
    for n in 0..100 {
        memory.say(&good(n).to_string(), found("{}"));
        let schemas = resolver.resolve(&[good(n)]).await;
        assert!(matches!(schemas.get(&good(n).to_string()), Some(Lookup::Found(_))), "{n}");
        let schemas = resolver.resolve(&[strange(n)]).await;
        assert!(matches!(schemas.get(&strange(n).to_string()), Some(Lookup::Unavailable(_))));
    }
    // One wait for the registry, and a short one for each key that is strange.
    let longest = WAIT + 100 * Duration::from_secs(3);
    assert!(start.elapsed() < longest, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn missing_needs_the_word_of_every_registry() {
    let (resolver, _) = one();
    let memory = Arc::new(Memory::default());
    memory.fail(down());
    let broken = Registered::new("Broken", Class::Http, Box::new(memory.clone()));
    let resolver = resolver.with_wait(Duration::ZERO).with(broken);
    assert!(matches!(ask(&resolver).await, Lookup::Unavailable(_)));
    memory.fail(Some(Answer::Refused(RegistryError::ClientFailure("403".into()))));
    tokio::time::sleep(Duration::from_secs(31)).await;
    resolver.freshen().await;
    let Lookup::Missing(history) = ask(&resolver).await else { panic!("all have answered") };
    let broken = history.iter().find(|history| history.repository == "Broken");
    assert_eq!(broken.expect("it was asked").attempts, 2);
    assert_eq!(broken.expect("it was asked").errors.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_asks_to_be_left_alone_is() {
    let (resolver, memory) = one();
    let resolver = resolver.with_wait(Duration::ZERO);
    let error = RegistryError::ClientFailure("Unexpected response code: 429".into());
    let retry_after = Some(Duration::from_secs(20));
    memory.fail(Some(Answer::Unreachable { error, retry_after }));
    assert!(matches!(ask(&resolver).await, Lookup::Unavailable(_)));
    for _ in 0..19 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        resolver.schemas().get(URI);
        resolver.freshen().await;
    }
    assert_eq!(memory.asked(), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    resolver.schemas().get(URI);
    resolver.freshen().await;
    assert_eq!(memory.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_unknown_keys_leaves_the_known_ones_alone() {
    let (resolver, memory) = one();
    memory.say(URI, found("{}"));
    assert!(accepts(&ask(&resolver).await, "1"));
    for second in 0..60 {
        let storm: Vec<SchemaKey> = (0..1_000)
            .map(|n| key(&format!("iglu:com.bot/k{second}_{n}/jsonschema/1-0-0")))
            .collect();
        let schemas = resolver.resolve(&storm).await;
        assert!(matches!(schemas.get(URI), Some(Lookup::Found(_))));
        assert!(storm.iter().all(|key| schemas.get(&key.to_string()).is_some()));
        assert!(resolver.figures().missing <= 17 * LEAST_SIZE, "{:?}", resolver.figures());
        tokio::time::sleep(Duration::from_secs(1)).await;
        resolver.freshen().await;
    }
    let figures = resolver.figures();
    assert!(figures.missing <= 17 * LEAST_SIZE, "{figures:?}");
    // Once each, and what was still in use once more.
    assert!(figures.asked < 2 * 2 * 61_000, "{figures:?}");
}

#[tokio::test(start_paused = true)]
async fn every_key_of_a_batch_has_an_answer_even_when_there_are_too_many() {
    let (resolver, _) = one();
    let keys: Vec<SchemaKey> =
        (0..20_000).map(|n| key(&format!("iglu:com.bot/k{n}/jsonschema/1-0-0"))).collect();
    let schemas = resolver.resolve(&keys).await;
    assert_eq!(schemas.len(), keys.len());
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(resolver.resolve(&[key(URI)]).await.get(URI).is_some());
    assert!(resolver.figures().missing <= LEAST_SIZE + 1, "{:?}", resolver.figures());
}

#[tokio::test(start_paused = true)]
async fn a_bundle_answers_what_it_was_pulled_for() {
    let (resolver, memory) = one();
    let newer = URI.replace("1-0-0", "1-0-1");
    memory.say(URI, found("{\n\"$supersededBy\": \"1-0-1\"}"));
    memory.say(&newer, found("{\r\n\"type\":\"string\",\n\"maximum\":99999999999999999999}\n"));
    let other = "iglu:com.acme/none/jsonschema/1-0-0";
    let mut lines = Vec::new();
    // Numbers keep their text.
    let pulled = resolver.pull(&[key(URI), key(other)], &mut lines).await.expect("written");
    assert_eq!(pulled.written, 2);
    let [(failed, Unpublished::Missing(history))] = pulled.failed.as_slice() else {
        panic!("{pulled:?}")
    };
    assert_eq!((failed, history.len()), (&key(other), 2));
    assert!(String::from_utf8_lossy(&lines).contains(":99999999999999999999}"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &lines).expect("written");

    let (fresh, memory) = one();
    memory.fail(down());
    let fresh = fresh.with_bundle(file.path()).expect("a good bundle");
    let lookup = ask(&fresh).await;
    assert!(accepts(&lookup, "\"x\"") && !accepts(&lookup, "1"));
    let Lookup::Found(schema) = lookup else { panic!("it is in the bundle") };
    assert_eq!(schema.superseded_by(), Some(event::SchemaVer::new(1, 0, 1)));
    assert_eq!(memory.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_nearest_version_that_accepts_is_found_without_a_list() {
    let (resolver, memory) = one();
    for (version, kind) in [
        ("1-0-0", "null"),
        ("1-0-1", "boolean"),
        ("1-1-0", "string"),
        ("2-0-0", "integer"),
        ("2-0-1", "string"),
        ("3-0-0", "array"),
    ] {
        memory.say(&URI.replace("1-0-0", version), found(&format!(r#"{{"type":"{kind}"}}"#)));
    }
    let nearest = async |from: &str, json: &str| {
        let nearest = resolver.nearest(&key(&URI.replace("1-0-0", from)), json).await;
        nearest.map(|key| key.version.to_string())
    };
    assert_eq!(nearest("1-0-0", "\"x\"").await.as_deref(), Some("1-1-0"));
    assert_eq!(nearest("1-0-0", "1").await.as_deref(), Some("2-0-0"));
    assert_eq!(nearest("2-0-0", "\"x\"").await.as_deref(), Some("2-0-1"));
    assert_eq!(nearest("1-0-0", "{}").await, None);
    assert!(memory.asked() < 200, "{} questions", memory.asked());
}

#[tokio::test(start_paused = true)]
async fn a_model_is_found_by_lists_and_without_them() {
    let (resolver, memory) = one();
    let versions = ["1-0-0", "1-0-1", "1-1-0", "1-3-0", "2-0-0"];
    for version in versions {
        memory.say(&URI.replace("1-0-0", version), found(&format!("\"{version}\"")));
    }
    let listed = |keys| [Listed { registry: "Acme".to_owned(), keys }];
    let check = async |of: &str, listed: &[Listed], expected: &[&str]| {
        let texts = resolver.of_model(&key(&URI.replace("1-0-0", of)), listed).await;
        let texts: Vec<String> = texts.expect("it is there").into_values().collect();
        let expected: Vec<_> = expected.iter().map(|version| format!("\"{version}\"")).collect();
        assert_eq!(texts, expected, "{of}");
    };
    let all = versions.map(|version| key(&URI.replace("1-0-0", version))).to_vec();
    check("1-0-1", &listed(Ok(all)), &versions[..4]).await;
    check("1-0-1", &listed(Ok(Vec::new())), &["1-0-1"]).await;
    check("1-3-0", &listed(Err(Unlisted::Unable)), &versions[..4]).await;
    check("2-0-0", &listed(Err(Unlisted::Unable)), &versions[4..]).await;
    let none = resolver.of_model(&key(&URI.replace("1-0-0", "3-0-0")), &[]).await;
    assert!(matches!(none, Err(Unpublished::Missing(_))));
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_end_has_an_end_when_the_registry_is_back() {
    let (resolver, memory) = one();
    let resolver = resolver.with_wait(Duration::MAX);
    memory.say(URI, found("{}"));
    memory.fail(down());
    let other = memory.clone();
    let mut repair = JoinSet::new();
    repair.spawn(async move {
        tokio::time::sleep(Duration::from_secs(7_200)).await;
        other.fail(None);
    });
    assert!(accepts(&ask(&resolver).await, "1"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_fails_alone_is_not_waited_for_without_end() {
    let (resolver, memory) = one();
    let resolver = resolver.with_wait(Duration::MAX);
    memory.say(URI, down().expect("an answer"));
    let start = Instant::now();
    assert!(matches!(ask(&resolver).await, Lookup::Unavailable(_)));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    // While the registry answers nobody, it is down.
    memory.fail(down());
    let waiting = ask_for(&resolver, "iglu:com.acme/other/jsonschema/1-0-0");
    tokio::time::timeout(Duration::from_secs(7_200), waiting).await.expect_err("it is down");
}

async fn ask_for(resolver: &Resolver, uri: &str) -> Lookup {
    resolver.resolve(&[key(uri)]).await.get(uri).expect("every key gets an answer").clone()
}

#[tokio::test(start_paused = true)]
async fn names_that_no_registry_can_hold_are_asked_of_none() {
    let (resolver, memory) = one();
    let resolver = resolver.with_wait(Duration::MAX);
    memory.fail(down());
    let long = "x".repeat(256);
    for uri in [
        format!("iglu:com.acme/{long}/jsonschema/1-0-0"),
        format!("iglu:{}/a/jsonschema/1-0-0", "x".repeat(100_000)),
        format!("iglu:com.acme/a/{long}/1-0-0"),
        "iglu:../a/jsonschema/1-0-0".to_owned(),
        "iglu:./a/jsonschema/1-0-0".to_owned(),
    ] {
        let Lookup::Missing(history) = ask_for(&resolver, &uri).await else { panic!("{uri}") };
        assert!(history.iter().all(|registry| registry.errors == [RegistryError::NotFound]));
        assert_eq!(history.len(), 2);
    }
    assert_eq!(memory.asked(), 0);
    memory.fail(None);
    let longest = format!("iglu:com.acme/{}/jsonschema/1-0-0", &long[1..]);
    assert!(matches!(ask_for(&resolver, &longest).await, Lookup::Missing(_)));
    assert_eq!(memory.asked(), 1);
}
