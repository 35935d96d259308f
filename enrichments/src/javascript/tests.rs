use event::{Bump, Entity, Event, Field, Reason};

use super::{CutOffs, Engine, Fault, Limits, Made, Moment, Script, Scripts};

const NOW: i64 = 1_714_558_272_340;

fn script(source: &str) -> Script {
    Script { uri: "iglu:x/y/jsonschema/1-0-0".to_owned(), source: source.to_owned(), config: None }
}

fn scripts(all: &[Script]) -> Scripts<'_> {
    Scripts { all, limits: Limits::default() }
}

fn event() -> Event<'static> {
    let mut event = Event::new();
    event.set(Field::AppId, Some("shop"));
    event.set(Field::EventId, Some("c6ef3124-b53a-4b13-a233-0088f79dcbcb"));
    event.set(Field::BrFeaturesPdf, Some("1"));
    event.set(Field::DomainSessionidx, Some("7"));
    event.set(Field::GeoLatitude, Some("52.5"));
    event.set(Field::SeValue, Some("1.50"));
    event
}

fn moment() -> Moment<'static> {
    Moment { now_ms: NOW, headers: &["Host: x", "Accept: y"], derived: &[] }
}

/// Runs one script on the event: the data of its entities joined, or the failure's text.
fn once(source: &str) -> String {
    on(&mut event(), source, &mut None)
}

fn on(event: &mut Event<'_>, source: &str, engine: &mut Option<Engine>) -> String {
    let arena = Bump::new();
    let mut copy = event.clone();
    let made = scripts(&[script(source)]).run(0, &mut copy, moment(), engine, &arena);
    words(made.map_err(|failure| failure.reason))
}

fn words(made: Result<Made<'_>, Reason>) -> String {
    match made {
        Ok(made) => made.entities.iter().map(|entity| entity.data).collect::<Vec<_>>().join(";"),
        Err(Reason::Simple { error }) => error.to_string(),
        Err(other) => format!("{other:?}"),
    }
}

/// The value of an expression in a script, as JSON.
fn value(expression: &str) -> String {
    once(&format!(
        "function process(event, params, headers) {{
           return [{{schema: 'iglu:a/b/jsonschema/1-0-0', data: {expression}}}];
         }}"
    ))
}

#[test]
fn values_are_those_a_peer_gives() {
    for (expression, expected) in [
        ("event.getApp_id()", r#""shop""#),
        ("event.app_id + '!'", r#""shop!""#),
        ("event.getUser_id()", "null"),
        ("event.getBr_features_pdf() === 1", "true"),
        ("event.getDomain_sessionidx() + 1", "8"),
        ("event.getGeo_latitude()", "52.5"),
        ("event.getSe_value()", "1.50"),
        ("typeof event.getSe_value()", r#""object""#),
        ("event.getSe_value() + 1", "2.5"),
        ("String(event.getSe_value())", r#""1.50""#),
        ("typeof event.nope", r#""undefined""#),
        ("typeof JSON.stringify(event)", r#""undefined""#),
        ("(function () { var n = 0; for (var k in event) n++; return n; })()", "0"),
        ("headers.length + headers[1]", r#""2Accept: y""#),
        ("params", "{}"),
        ("NaN", "null"),
        ("new String('s')", r#""s""#),
        ("'\\ud800'.length", "1"),
        ("'\\ud800'", "\"?\""),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn times_and_chance_come_from_the_batch_and_the_event() {
    assert_eq!(value("Date.now()"), NOW.to_string());
    assert_eq!(value("new Date().toISOString()"), r#""2024-05-01T10:11:12.340Z""#);
    assert_eq!(value("new Date(2024, 0, 1).getTime()"), "1704067200000");
    assert_eq!(value("new Date(1714558271000).getHours()"), "10");
    assert_eq!(value("new Date(0) instanceof Date"), "true");
    assert_eq!(value("java.lang.System.currentTimeMillis()"), NOW.to_string());
    let random = value("[Math.random(), Math.random(), '' + java.util.UUID.randomUUID()]");
    assert_eq!(random, value("[Math.random(), Math.random(), '' + java.util.UUID.randomUUID()]"));
    let mut other = event();
    other.set(Field::EventId, Some("another"));
    let source = "function process() { return [{schema: 'iglu:a/b/jsonschema/1-0-0',
        data: [Math.random(), Math.random(), '' + java.util.UUID.randomUUID()]}]; }";
    assert_ne!(random, on(&mut other, source, &mut None));
}

#[test]
fn names_of_java_do_what_they_do_there() {
    for (expression, expected) in [
        (
            "Java.type('org.apache.commons.codec.digest.DigestUtils').md5Hex('x')",
            r#""9dd4e461268c8034f5c8564e155c67a6""#,
        ),
        (
            "org.apache.commons.codec.digest.DigestUtils.sha256Hex('x')",
            r#""2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881""#,
        ),
        ("java.lang.Integer.parseInt('12')", "12"),
        ("java.lang.Integer.toString(5)", r#""5""#),
        ("java.net.URLDecoder.decode('a+b%C3%BC', 'UTF-8')", "\"a bü\""),
        ("java.net.URLEncoder.encode('a b&ü*~', 'UTF-8')", r#""a+b%26%C3%BC*%7E""#),
        ("java.util.Base64.getEncoder().encodeToString('hé'.getBytes())", r#""aMOp""#),
        ("'' + new java.lang.String(java.util.Base64.getDecoder().decode('aMOp'))", "\"hé\""),
        (
            "'' + java.util.UUID.nameUUIDFromBytes('x'.getBytes())",
            r#""9dd4e461-268c-3034-b5c8-564e155c67a6""#,
        ),
        ("event.getApp_id().equals('shop') && !''.equals(null)", "true"),
        ("'a.b'.replaceAll('.', 'x')", r#""xxx""#),
        ("'abc'.matches('[a-c]+')", "true"),
        ("'shop'.hashCode()", "3529462"),
        ("new java.math.BigDecimal('2.50')", "2.50"),
        ("new java.math.BigDecimal('2.5').add(new java.math.BigDecimal('0.05'))", "2.55"),
        (
            "new java.math.BigDecimal('1').divide(new java.math.BigDecimal('3'), 6, \
          java.math.RoundingMode.HALF_EVEN)",
            "0.333333",
        ),
        ("'' + new java.math.BigDecimal('1E+3')", r#""1000""#),
        ("new java.math.BigDecimal('1E+3').toString()", r#""1E+3""#),
        (
            "java.nio.file.Files.readAllBytes('x')",
            "Error during execution of JavaScript function: [TypeError: Java is not available: \
             java.nio.file.Files.readAllBytes",
        ),
        (
            "Packages.java.lang.Runtime.getRuntime()",
            "Error during execution of JavaScript function: [TypeError: Java is not available: \
             java.lang.Runtime.getRuntime",
        ),
        (
            "java.lang.Integer.bitCount(1)",
            "Error during execution of JavaScript function: [TypeError: Java is not available: \
             java.lang.Integer.bitCount",
        ),
    ] {
        let found = value(expression);
        assert!(found.starts_with(expected), "{expression}: {found}");
    }
}

#[test]
fn columns_take_what_a_peers_take() {
    let set = |statement: &str, field: Field| {
        let arena = Bump::new();
        let mut event = event();
        let source = format!("function process(event) {{ {statement}; }}");
        let made = scripts(&[script(&source)]).run(0, &mut event, moment(), &mut None, &arena);
        made.map(|_| event.get(field).map(str::to_owned))
    };
    for (statement, field, expected) in [
        ("event.setApp_id('new-' + event.getApp_id())", Field::AppId, Some("new-shop")),
        ("event.app_id = 'prop'", Field::AppId, Some("prop")),
        ("event.setApp_id(null)", Field::AppId, None),
        ("event.setApp_id(undefined)", Field::AppId, Some("undefined")),
        ("event.setApp_id('')", Field::AppId, None),
        ("event.setApp_id([1, 2])", Field::AppId, Some("1,2")),
        ("event.setApp_id('a\\tb\\nc')", Field::AppId, Some("a    bc")),
        ("event.setTi_quantity(4.7)", Field::TiQuantity, Some("4")),
        ("event.setTi_quantity('x')", Field::TiQuantity, Some("0")),
        ("event.setTi_quantity(3000000000)", Field::TiQuantity, Some("-1294967296")),
        ("event.setBr_cookies(true)", Field::BrCookies, Some("1")),
        ("event.setGeo_latitude(0.00001)", Field::GeoLatitude, Some("1.0E-5")),
        ("event.setSe_value(new java.math.BigDecimal('2.50'))", Field::SeValue, Some("2.50")),
        ("event.setTr_total(event.getSe_value())", Field::TrTotal, Some("1.50")),
        ("event.nope = 1", Field::AppId, Some("shop")),
        ("event.setApp_id('a\\ud800')", Field::AppId, Some("a?")),
        ("event.setContexts('{ \"a\" : 1 }')", Field::Contexts, Some("{\"a\":1}")),
    ] {
        assert_eq!(set(statement, field), Ok(expected.map(str::to_owned)), "{statement}");
    }
    assert!(set("event.setSe_value(1)", Field::SeValue).is_err());
    assert!(set("event.setNope('x')", Field::AppId).is_err());
}

#[test]
fn nothing_of_a_failed_script_stays() {
    let arena = Bump::new();
    let mut changed = event();
    let source = "function process(event) { event.setApp_id('changed'); throw 'boom'; }";
    let failed = scripts(&[script(source)]).run(0, &mut changed, moment(), &mut None, &arena);
    assert!(failed.is_err());
    assert_eq!(changed.get(Field::AppId), Some("shop"));
}

#[test]
fn failures_say_what_and_where() {
    for (source, expected) in [
        (
            "function process() { throw new Error('boom'); }",
            "Error during execution of JavaScript function: [Error: boom in <eval> at line number 1 \
             at column number",
        ),
        (
            "function process() { throw 'boom'; }",
            "Error during execution of JavaScript function: [boom",
        ),
        (
            "function process() { throw null; }",
            "Error during execution of JavaScript function: [null",
        ),
        (
            "function process() { throw {a: 1}; }",
            "Error during execution of JavaScript function: [[object Object]",
        ),
        ("function other() {}", "Error during execution of JavaScript function: [ReferenceError: "),
        ("function process( {", "Error compiling JavaScript function: [SyntaxError: "),
        ("throw 'early'; function process() {}", "Error compiling JavaScript function: [early"),
        (
            "function process() { return {}; }",
            "Output of JavaScript function [{\n  \n}] could be parsed as JSON but is not read as an \
             array",
        ),
        (
            "function process() { return function () {}; }",
            "Could not parse output JSON of Javascript function. Error: [",
        ),
        (
            "function process() { return [1, {schema: 'nope', data: 1}]; }",
            "Resulting contexts are not self-desribing. Error(s): [error code:[INVALID_DATA_PAYLOAD],\
             json:[1];error code:[INVALID_IGLUURI],json:[{\"schema\":\"nope\",\"data\":1}]]",
        ),
        (
            "function process() { var a = []; a.push(a); return a; }",
            "Error during execution of JavaScript function: [TypeError: circular",
        ),
    ] {
        let found = once(source);
        assert!(found.starts_with(expected), "{source}: {found}");
    }
}

#[test]
fn scripts_in_sloppy_mode_run() {
    for source in [
        "x = 1; function process() { y = 2; return []; }",
        "function process() { with ({a: 010}) { return [] } }",
        "var process = function () { return arguments.callee && [] }",
        "const process = () => [];",
        "function process(e, p, headers) { for (header of headers) {} }",
    ] {
        assert_eq!(once(source), "", "{source}");
    }
}

#[test]
fn hostile_scripts_cost_their_own_event_alone() {
    let engine = &mut None;
    for source in [
        "function process() { for (;;) {} }",
        "function process() { try { for (;;) {} } catch (e) { return [] } }",
        "function process() { try { for (;;) {} } finally { for (;;) {} } }",
        "function process() { return process() + 1 }",
        "function process() { var a = []; for (;;) a.push(new Array(1000).fill('x')) }",
        "function process() { var s = 'x'; for (;;) s += s }",
        "function process() { return /^(a+)+$/.test('a'.repeat(40) + 'b') ? [] : [] }",
        "function process() { var s = '['.repeat(1e6); return JSON.parse(s) }",
        "for (;;) {} function process() {}",
        "function process() { event.getApp_id = null; Math.random = null; Date = null; null.x }",
    ] {
        let found = on(&mut event(), source, engine);
        assert!(found.starts_with("Error "), "{source}: {found}");
        // Each source is another script: its realm is made anew.
        *engine = None;
        assert_eq!(on(&mut event(), "function process() { return [] }", engine), "");
        *engine = None;
    }
}

#[test]
fn those_that_come_to_a_limit_are_counted_by_it() {
    for (source, expected) in [
        ("function process() { for (;;) {} }", CutOffs { steps: 1, ..CutOffs::default() }),
        (
            "function process() { var a = []; for (;;) a.push(new Array(1000).fill('x')) }",
            CutOffs { memory: 1, ..CutOffs::default() },
        ),
        ("function process() { return process() }", CutOffs { stack: 1, ..CutOffs::default() }),
        ("function process() { throw 'boom' }", CutOffs::default()),
        ("function process() { return [] }", CutOffs::default()),
    ] {
        let engine = &mut None;
        on(&mut event(), source, engine);
        let engine = engine.as_mut().expect("it ran");
        assert_eq!(engine.take_cut_offs(), expected, "{source}");
        assert_eq!(engine.take_cut_offs(), CutOffs::default(), "{source}: it was asked");
    }
}

#[test]
fn an_engine_goes_on_after_a_script_was_cut_off() {
    let source = "function process(event) { if (event.getApp_id() == 'bad') for (;;) {} }";
    let engine = &mut None;
    let mut bad = event();
    bad.set(Field::AppId, Some("bad"));
    for _ in 0..3 {
        assert_eq!(on(&mut event(), source, engine), "");
        let found = on(&mut bad, source, engine);
        assert!(found.contains("did not end within 5000000 steps"), "{found}");
    }
}

#[test]
fn what_a_script_prints_is_kept_for_people() {
    let mut engine = None;
    let source = "function process(e) { print('a', 1); console.log(e.getApp_id()); }";
    assert_eq!(on(&mut event(), source, &mut engine), "");
    assert_eq!(engine.as_ref().expect("it ran").slots().borrow().printed, ["a 1", "shop"]);
    let source = "function process() { for (var i = 0; i < 3000; i++) print('x'.repeat(100)); }";
    engine = None;
    assert_eq!(on(&mut event(), source, &mut engine), "");
    let slots = engine.as_ref().expect("it ran").slots().borrow();
    let bytes: usize = slots.printed.iter().map(String::len).sum();
    assert!(bytes <= 64 * 1024, "{bytes}");
}

#[test]
fn scripts_see_parameters_and_what_was_derived() {
    let arena = Bump::new();
    let derived = [Entity::new("iglu:a/b/jsonschema/1-0-0", "{}")];
    let moment = Moment { derived: &derived, ..moment() };
    let source = "function process(event, params) {
        var seen = params.n + JSON.parse(event.getDerived_contexts()).data.length;
        params.n = 100; event.eraseDerived_contexts(); event.drop();
        return [{schema: 'iglu:a/b/jsonschema/1-0-0', data: seen}]; }";
    let all = [Script { config: Some("{\"n\":1}".to_owned()), ..script(source) }];
    let mut engine = None;
    for _ in 0..2 {
        let mut event = event();
        let made = scripts(&all).run(0, &mut event, moment, &mut engine, &arena);
        let made = made.expect("it does not fail");
        assert!(made.dropped && made.erased);
        assert_eq!(made.entities[0].data, "2");
        assert_eq!(event.get(Field::DerivedContexts), None);
    }
}

#[test]
fn scripts_have_globals_of_their_own() {
    let all = [
        script("var shared = 1; function process() { return []; }"),
        script(
            "function process() { return [{schema: 'iglu:a/b/jsonschema/1-0-0', \
                data: typeof shared}]; }",
        ),
    ];
    let (arena, mut engine, mut event) = (Bump::new(), None, event());
    for at in [0, 1] {
        let made = scripts(&all).run(at, &mut event, moment(), &mut engine, &arena);
        let made = made.expect("it does not fail");
        assert_eq!(made.entities.len(), at);
        assert!(made.entities.iter().all(|entity| entity.data == "\"undefined\""));
    }
}

#[test]
fn faults_are_found_before_events_come() {
    let faults = |source: &str| script(source).faults(Limits::default());
    assert_eq!(faults("function process() { return java.lang.Integer.parseInt('1') }"), []);
    let file = "java.nio.file.Files.exists".to_owned();
    assert_eq!(
        faults("\nfunction process() { java.nio.file.Files.exists('x') }"),
        [Fault::Java { line: 2, path: file }]
    );
    assert!(matches!(&faults("function process( {")[..], [Fault::Evaluation(_)]));
}
