//! Look-ups with somebody to ask who does as he is told, under a paused clock.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use enrichments::lookup::{Cache, Found, Value};

use super::*;

const TERMS: Cache = Cache { size: 100, ttl_secs: 60 };

/// Answers with how often a key was asked, after a while; or as he is told.
#[derive(Debug, Default)]
struct Somebody {
    asked: Mutex<HashMap<Key, usize>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
    takes: Duration,
    /// What he says for now.
    says: Mutex<Option<Trouble>>,
    bytes: usize,
    /// The question that he cannot bear.
    panics: Option<&'static str>,
}

impl Somebody {
    fn says(&self, trouble: Option<Trouble>) {
        *self.says.lock().expect("nothing panics with it") = trouble;
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("nothing panics with it").values().sum()
    }
}

impl Ask for Arc<Somebody> {
    fn ask<'a>(&'a self, key: &'a Key) -> Asking<'a> {
        Box::pin(async move {
            let count = {
                let mut asked = self.asked.lock().expect("nothing panics with it");
                let count = asked.entry(key.clone()).or_default();
                *count += 1;
                *count
            };
            assert_ne!(self.panics.map(|name| question(name).key).as_ref(), Some(key));
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(self.takes).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            if let Some(trouble) = self.says.lock().expect("nothing panics with it").clone() {
                return Err(trouble);
            }
            let data = format!("{count}{}", " ".repeat(self.bytes));
            Ok(Answer::Found([Found::new(&"iglu:a/b/jsonschema/1-0-0".into(), data)].into()))
        })
    }

    fn reach(&self) -> Pin<Box<dyn Future<Output = Result<(), Trouble>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }
}

fn question(name: &str) -> Question {
    Question { lookup: 0, key: Key([Value::Text(name.into())].into()) }
}

fn open(whom: &Arc<Somebody>, terms: Cache, settings: Settings) -> Arc<Lookups> {
    Arc::new(Lookups::of(vec![("it", Box::new(Arc::clone(whom)) as _, terms, settings)]))
}

fn outage() -> Option<Trouble> {
    Some(Trouble::Outage(vec!["Connection refused".into()]))
}

fn then(then: Then) -> Settings {
    Settings { then, patience: Duration::from_secs(20), ..Settings::default() }
}

/// The data of an answer, or what is wrong, in a word.
fn said(answer: &Answer) -> String {
    match answer {
        Answer::Found(found) => found[0].data().trim().to_owned(),
        Answer::Failed(words) => format!("failed: {}", words[0].text()),
        Answer::Unavailable(outage) => format!("{:?}: {}", outage.then, outage.words[0].text()),
    }
}

async fn ask(lookups: &Lookups, name: &str) -> String {
    let answers = lookups.answer(vec![question(name)]).await;
    said(&answers[0].1.0)
}

#[tokio::test(start_paused = true)]
async fn a_question_that_many_have_is_asked_once() {
    let whom = Arc::new(Somebody { takes: Duration::from_millis(50), ..Somebody::default() });
    let lookups = open(&whom, TERMS, Settings::default());
    let mut batches = JoinSet::new();
    for _ in 0..50 {
        let lookups = Arc::clone(&lookups);
        batches.spawn(async move { ask(&lookups, "one").await });
    }
    assert!(batches.join_all().await.iter().all(|said| said == "1"));
    assert_eq!(lookups.get(&question("one")).as_ref().map(said).as_deref(), Some("1"));
    assert!(lookups.get(&question("two")).is_none());
    let figures = &lookups.figures()[0];
    assert_eq!((figures.answered, figures.kept), (1, 1));
    assert_eq!(figures.took, Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn many_questions_are_asked_a_few_at_a_time() {
    let whom = Arc::new(Somebody { takes: Duration::from_millis(50), ..Somebody::default() });
    let lookups = open(&whom, TERMS, Settings { concurrency: 16, ..Settings::default() });
    let began = Instant::now();
    let mut batches = JoinSet::new();
    for batch in 0..4 {
        let lookups = Arc::clone(&lookups);
        let questions: Vec<_> = (0..500).map(|n| question(&format!("{batch}/{n}"))).collect();
        batches.spawn(async move { lookups.answer(questions).await.len() });
    }
    assert_eq!(batches.join_all().await, [500; 4]);
    assert_eq!(whom.most.load(Ordering::SeqCst), 16);
    // By a clock that only moves while everybody waits: 2,000 × 50 ms ÷ 16.
    assert_eq!(began.elapsed().as_millis(), 2_000 * 50 / 16);
}

#[tokio::test(start_paused = true)]
async fn large_answers_come_in_rounds_and_what_nobody_waits_for_is_forgotten() {
    let whom = Arc::new(Somebody { bytes: 1 << 20, ..Somebody::default() });
    let lookups = open(&whom, Cache { size: 0, ttl_secs: 0 }, Settings::default());
    let mut rest: Vec<Question> = (0..100).map(|n| question(&n.to_string())).collect();
    let (mut told, mut rounds) = (Told::by(&lookups), 0);
    while !rest.is_empty() {
        told.ask(rest.iter()).await;
        let held: usize = told.answers.values().map(|(answer, _)| answer.bytes()).sum();
        assert!(held < BATCH_BYTES + 33 * ((1 << 20) + 100), "{held} bytes");
        let before = rest.len();
        rest.retain(|question| told.get(question).is_none());
        assert!(rest.len() < before, "a round without an answer");
        rounds += 1;
    }
    assert!((3..=100).contains(&rounds), "{rounds} rounds");
    assert_eq!(whom.asked(), 100, "each once");
}

#[tokio::test(start_paused = true)]
async fn answers_count_for_their_time_and_failures_for_a_tenth() {
    let whom = Arc::new(Somebody::default());
    let lookups = open(&whom, TERMS, Settings::default());
    let kept = |name: &str| lookups.get(&question(name)).as_ref().map(said);
    assert_eq!(ask(&lookups, "a").await, "1");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(kept("a").as_deref(), Some("1"));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(kept("a"), None);
    assert_eq!(ask(&lookups, "a").await, "2");

    whom.says(Some(Trouble::Refused(vec!["404".into()])));
    assert_eq!(ask(&lookups, "b").await, "failed: 404");
    assert_eq!(kept("b").as_deref(), Some("failed: 404"));
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!(kept("b"), None);

    // For want of a new answer the old one goes on to count, for a tenth of its time.
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!((kept("a"), ask(&lookups, "a").await), (None, "2".to_owned()));
    assert_eq!(kept("a").as_deref(), Some("2"));
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!(kept("a"), None);
    whom.says(None);
    assert_eq!(ask(&lookups, "a").await, "4");
    assert_eq!(lookups.figures()[0].stale, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_in_number_and_in_bytes() {
    for (size, bytes, cache_bytes) in [(10, 0, 1 << 20), (1_000_000, 10_000, 1 << 20), (0, 0, 1)] {
        let whom = Arc::new(Somebody { bytes, ..Somebody::default() });
        let settings = Settings { cache_bytes, ..Settings::default() };
        let lookups = open(&whom, Cache { size, ttl_secs: 60 }, settings);
        let questions: Vec<Question> = (0..300).map(|n| question(&n.to_string())).collect();
        for some in questions.chunks(100) {
            lookups.answer(some.to_vec()).await;
            lookups.settle();
        }
        let kept = questions.iter().filter(|question| lookups.get(question).is_some()).count();
        let most = usize::try_from(size).expect("small").min(105);
        assert!(kept <= most, "{kept} kept of {most}");
        assert!(size == 0 || kept >= most / 2, "{kept} kept of {most}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_fails_an_event_at_once_or_is_waited_for() {
    for (settings, waited, expected) in [
        (then(Then::Fail), 0, "Fail: Connection refused"),
        (then(Then::Skip), 20, "Skip: Connection refused"),
        (then(Then::Park), 20, "Park: Connection refused"),
    ] {
        let whom = Arc::new(Somebody::default());
        whom.says(outage());
        let lookups = open(&whom, TERMS, settings);
        let began = Instant::now();
        assert_eq!(ask(&lookups, "a").await, expected);
        assert_eq!(began.elapsed().as_secs(), waited);
        // The patience is the look-up's: the next question does not wait once more.
        let later = ask(&lookups, "b").await;
        assert!(later.starts_with(&expected[..4]), "{later}");
        assert!(began.elapsed().as_secs() <= waited + 1, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_in_time_was_never_missed() {
    let whom = Arc::new(Somebody::default());
    whom.says(outage());
    let lookups = open(&whom, TERMS, then(Then::Park));
    let mut batches = JoinSet::new();
    for n in 0..1_000 {
        let lookups = Arc::clone(&lookups);
        batches.spawn(async move { ask(&lookups, &format!("{n}")).await });
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let during = whom.asked();
    assert!(during < 60, "{during} questions while it was down");
    assert!(lookups.figures()[0].open);
    whom.says(None);
    assert!(batches.join_all().await.iter().all(|said| !said.contains(':')));
    assert!(whom.asked() <= during + 1_000, "each once more");
    assert!(!lookups.figures()[0].open);
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_lasts_is_left_alone_and_nothing_that_was_not_asked_is_kept() {
    let whom = Arc::new(Somebody::default());
    whom.says(outage());
    let lookups = open(&whom, TERMS, Settings { concurrency: 1, ..Settings::default() });
    for n in 0..1_000 {
        assert!(ask(&lookups, &n.to_string()).await.starts_with("Fail: "));
    }
    assert_eq!(whom.asked(), 10, "the others failed without being sent");
    whom.says(None);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(ask(&lookups, "999").await, "1");
    assert_eq!(ask(&lookups, "998").await, "1");
    // What was sent and failed is a failure for a tenth of the time of an answer.
    assert!(lookups.get(&question("0")).is_none());
    let figures = &lookups.figures()[0];
    assert_eq!((figures.outages, figures.unsent, figures.answered), (10, 990, 2));
}

#[tokio::test(start_paused = true)]
async fn failures_of_some_questions_do_not_fail_the_others() {
    let whom = Arc::new(Somebody::default());
    let lookups = open(&whom, TERMS, Settings { concurrency: 1, ..Settings::default() });
    for n in 0..100 {
        whom.says(outage().filter(|_| n % 4 > 0));
        let said = ask(&lookups, &n.to_string()).await;
        assert_eq!(said == "1", n % 4 == 0, "{said}");
    }
    assert_eq!(whom.asked(), 100);
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_leaves_the_question_to_the_next() {
    let whom = Arc::new(Somebody { takes: Duration::from_secs(1), ..Somebody::default() });
    let lookups = open(&whom, TERMS, Settings { concurrency: 1, ..Settings::default() });
    for _ in 0..3 {
        let cut = tokio::time::timeout(Duration::from_millis(10), ask(&lookups, "a")).await;
        assert!(cut.is_err());
    }
    assert_eq!(ask(&lookups, "a").await, "4");
    assert_eq!(lookups.all[0].questions_under_way(), 0);
    let cut = tokio::time::timeout(Duration::from_millis(10), ask(&lookups, "b")).await;
    assert!(cut.is_err());
    tokio::task::yield_now().await;
    assert_eq!(lookups.all[0].questions_under_way(), 0, "nobody waits for it");
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_question() {
    let whom = Arc::new(Somebody { panics: Some("b"), ..Somebody::default() });
    let lookups = open(&whom, TERMS, Settings::default());
    let answers = lookups.answer(["a", "b", "c"].map(question).to_vec()).await;
    let mut said: Vec<String> = answers.iter().map(|(_, (answer, _))| said(answer)).collect();
    said.sort();
    assert_eq!(said, ["1", "1", "failed: the look-up failed unexpectedly"]);
    assert_eq!(lookups.all[0].questions_under_way(), 0);
}
