//! The program on an Iceberg table whose files are on this machine: by the catalog in its folder,
//! and by a server of the REST protocol that lets nobody but readers in.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use datafusion::arrow::array::{RecordBatch, StringArray};
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use lakehouse::{Catalog, Folder, Growing, Lake, Sqlite, file_io};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const NAMES: [&str; 3] = ["page_view", "link_click", "page_view"];

fn asked(place: &str, arguments: &[&str], token: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_snowmelt-query"));
    program.args(["--data", place, "--quiet", "--format", "csv"]).args(arguments);
    program.env("SNOWMELT_CATALOG_TOKEN", token).env("AWS_EC2_METADATA_DISABLED", "true");
    program.output().expect("the program starts")
}

fn answered(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("it is text")
}

const BY_NAME: &str = "SELECT event_name, count(*) AS n FROM events GROUP BY 1 ORDER BY 1";
const COUNTED: &str = "event_name,n\nlink_click,1\npage_view,2\n";

/// Appends a file of events to the table of a folder; what a server would say of it.
async fn written(folder: &Path) -> Value {
    let io = file_io(Arc::new(Folder));
    let file = folder.join("catalog.db");
    let catalog = Sqlite::open(&file, "snowmelt", &Folder::location(folder), io).expect("made");
    let catalog: Arc<dyn Catalog> = Arc::new(catalog);
    let fields = warehouse::atomic::fields();
    let lake = Lake::open(Arc::clone(&catalog), "snowmelt", "events", &fields).await;
    let table = lake.expect("made").table().await.expect("there");

    let names = Arc::new(StringArray::from_iter_values(NAMES));
    let batch = RecordBatch::try_from_iter([("event_name", names as _)]).expect("it fits");
    let properties = warehouse::file::properties(1);
    let mut file = Growing::begin(&table, properties, 0, "a").expect("begun");
    file.add(&batch.into()).expect("added");
    let file = file.finish().await.expect("written");
    let transaction = Transaction::new(&table);
    let append = transaction.fast_append().add_data_files([file]);
    let append = append.apply(transaction).expect("it can be applied");
    let table = append.commit(catalog.as_ref()).await.expect("committed");
    json!({ "metadata-location": table.metadata_location(), "metadata": table.metadata() })
}

struct Server {
    table: Value,
    /// What was asked for, in order.
    asked: Mutex<Vec<String>>,
}

async fn answer(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    let (method, path) = (request.method().clone(), request.uri().to_string());
    server.asked.lock().expect("there").push(format!("{method} {path}"));
    let known = request.headers().get("authorization");
    if known.is_none_or(|token| token != "Bearer a token") {
        let error = json!({ "error": { "message": "unknown", "type": "X", "code": 401 } });
        return (StatusCode::UNAUTHORIZED, error.to_string()).into_response();
    }
    match (method, path.as_str()) {
        (Method::GET, "/v1/config?warehouse=lake") => {
            json!({ "defaults": {}, "overrides": { "prefix": "lake" } }).to_string().into_response()
        }
        (Method::GET, "/v1/lake/namespaces/snowmelt/tables/events") => {
            server.table.to_string().into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_a_server_is_read_and_nothing_else_is_asked_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = written(folder.path()).await;
    // Where its catalog was nobody looks.
    std::fs::remove_file(folder.path().join("catalog.db")).expect("removed");
    let server = Arc::new(Server { table, asked: Mutex::default() });
    let routes = Router::new().fallback(answer).with_state(Arc::clone(&server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("it listens");
    let url = format!("http://{}", listener.local_addr().expect("there"));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, routes).await });

    let place = ["--warehouse", "lake"];
    let arguments = |sql: &'static str| [place[0], place[1], sql];
    assert_eq!(answered(asked(&url, &arguments(BY_NAME), "a token")), COUNTED);
    let listed = answered(asked(&url, &["--warehouse", "lake", "--tables"], "a token"));
    assert!(listed.contains("events: 3 rows in 1 files"), "{listed}");
    assert!(listed.contains("event_name  text  The name of the event's schema"), "{listed}");

    let refused = asked(&url, &arguments(BY_NAME), "another");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("401 X: unknown") && !said.contains("another"), "{said}");
    let asked = server.asked.lock().expect("there");
    assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_a_folder_is_read_and_its_catalog_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("catalog.db");
    let place = folder.path().display().to_string();
    assert_eq!(asked(&place, &[BY_NAME], "").status.code(), Some(64));
    assert!(!file.exists());
    written(folder.path()).await;
    let before = std::fs::read(&file).expect("it is there");
    assert_eq!(answered(asked(&place, &[BY_NAME], "")), COUNTED);
    let empty = answered(asked(&place, &["SELECT count(*) AS n FROM bad"], ""));
    assert_eq!(empty, "n\n0\n");
    assert_eq!(std::fs::read(&file).expect("it is there"), before);

    std::fs::write(&file, "this is no catalog, and long enough to be looked at").expect("written");
    let refused = asked(&place, &[BY_NAME], "");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("catalog.db") && said.contains("not a database"), "{said}");
}
