//! Servers whose certificates are no good: a registry, and a publisher of assets. Whoever asks them
//! learns that it is the certificate, and takes it for an outage, not for a verdict on data.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use event::SchemaKey;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use resolver::Resolver;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;
use traffic::requests;
use validator::Lookup;

const URI: &str = "iglu:com.acme/click/jsonschema/1-0-0";
const LIST: &str = r#"{"search":{"Found":{"domains":["found.example"],"parameters":["q"]}}}"#;

/// A server with a certificate of its own authority, and files of somebody who asks it.
struct Place {
    port: u16,
    folder: TempDir,
}

impl Place {
    /// The certificate is for this host.
    fn new(host: &str) -> Place {
        let (config, authority) = certified(host);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        #[allow(clippy::disallowed_methods, reason = "it serves until the test process ends")]
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                // Whoever refuses the certificate breaks off.
                let _ = answer(socket.expect("a client"), &config);
            }
        });
        let place = Place { port, folder: TempDir::new().expect("a folder") };
        place.write("authority.pem", &authority);
        place.write("resolver.json", &place.resolver());
        let config = serde_json::json!({
            "schema": "iglu:com.snowplowanalytics.snowplow/referer_parser/jsonschema/2-0-0",
            "data": {"enabled": true, "parameters": {
                "internalDomains": [], "database": "referers.json", "uri": place.address(),
            }},
        });
        place.write("enrichments/referers.json", &config.to_string());
        let record = requests::record(&requests::get("/i", "e=pv&p=web&tv=t"));
        place.write("payloads.txt", &event::base64::encode(&record));
        place
    }

    fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn resolver(&self) -> String {
        format!(
            r#"{{"schema":"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1",
            "data":{{"cacheSize":500,"repositories":[{{"name":"Acme","priority":0,
            "vendorPrefixes":["com.acme"],"connection":{{"http":{{"uri":"{}"}}}}}}]}}}}"#,
            self.address()
        )
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is inside")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Asks the server for a schema.
    fn show(&self, trusted: bool) -> Output {
        self.run(
            &["schemas", "show", URI, "--patience", "0", "--resolver", &self.path("resolver.json")],
            trusted,
        )
    }

    /// Asks the server for an asset.
    fn enrich(&self, trusted: bool) -> Output {
        let (configs, payloads) = (self.path("enrichments"), self.path("payloads.txt"));
        self.run(&["enrich", "--enrichments", &configs, "--input", &payloads], trusted)
    }

    /// Runs a command that trusts the server's authority, or nobody.
    fn run(&self, args: &[&str], trusted: bool) -> Output {
        let nobody = certified("nobody.example").1;
        self.write("nobody.pem", &nobody);
        let authorities = self.path(if trusted { "authority.pem" } else { "nobody.pem" });
        let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
        command.env("SSL_CERT_FILE", authorities).env_remove("SSL_CERT_DIR").args(args);
        command.output().expect("the binary runs")
    }
}

/// A server's settings with a certificate for a host, and the certificate of who issued it.
fn certified(host: &str) -> (Arc<ServerConfig>, String) {
    let key = || KeyPair::generate().expect("a key");
    let (authority, own) = (key(), key());
    let mut params = CertificateParams::default();
    let name = format!("authority of {host}");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = params.self_signed(&authority).expect("a certificate").pem();
    let issuer = Issuer::from_params(&params, &authority);
    let certificate = CertificateParams::new([host.to_owned()]).expect("a name");
    let certificate = certificate.signed_by(&own, &issuer).expect("a certificate");
    let key = PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .expect("they are known")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    (Arc::new(config.expect("key and certificate belong together")), authority_pem)
}

/// Has a schema and a list of referers.
fn answer(socket: TcpStream, config: &Arc<ServerConfig>) -> std::io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config)).expect("a good configuration");
    let mut stream = StreamOwned::new(connection, socket);
    let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
    }
    let body = if request.starts_with(b"GET /schemas/") { r#"{"type":"object"}"# } else { LIST };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The command failed with this code, and says that the certificate is to blame, and why.
fn check_refused(output: &Output, code: i32, why: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains("certificate") && said.contains(why), "{said}");
}

#[tokio::test]
async fn a_registry_that_nobody_vouches_for_is_unavailable() {
    let place = Place::new("127.0.0.1");
    let resolver = Resolver::from_config(&place.resolver(), Path::new("."), None);
    let resolver = resolver.expect("the configuration is right").with_wait(Duration::ZERO);
    let key = SchemaKey::parse(URI).expect("an Iglu URI");
    let schemas = resolver.resolve(&[key]).await;
    let lookup = schemas.get(URI).expect("every key gets an answer");
    let Lookup::Unavailable(history) = lookup else { panic!("{lookup:?}") };
    assert!(format!("{history:?}").contains("certificate"), "{history:?}");
}

#[test]
fn the_certificate_is_said_to_be_wrong() {
    let place = Place::new("127.0.0.1");
    let shown = place.show(true);
    assert!(shown.status.success(), "{}", said(&shown));
    let enriched = place.enrich(true);
    assert!(enriched.status.success(), "{}", said(&enriched));
    check_refused(&place.show(false), 69, "UnknownIssuer");
    check_refused(&place.enrich(false), 1, "UnknownIssuer");

    let place = Place::new("other.example");
    check_refused(&place.show(true), 69, "127.0.0.1");
    check_refused(&place.enrich(true), 1, "127.0.0.1");
}
