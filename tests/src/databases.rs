//! A PostgreSQL and a MariaDB on the loopback address, each a child in a folder of its own, run by
//! a user without rights and ended when it is dropped. `tests/run` unpacks the programs where they
//! are not installed; a machine that has none leaves out what needs them, which is said.

mod line;

use std::ffi::OsString;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use enrichments::Enrichments;
use enrichments::lookup::Lookup;
use enrichments::lookup::sql::Sql;
use serde_json::json;
use tempfile::TempDir;

pub use line::Line;

/// Who asks the databases of the tests.
pub const USER: &str = "enr";

/// The password of [`USER`].
pub const PASSWORD: &str = "correct horse";

/// The user that has no rights, and its group, on every Linux.
const NOBODY: u32 = 65534;

/// A server that has to make its files first, on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
}

/// A server.
pub struct Database {
    /// Which it is.
    pub kind: Kind,
    /// Where it listens.
    pub port: u16,
    folder: TempDir,
    programs: Programs,
    server: Option<Child>,
}

/// Where the programs of a server are.
struct Programs {
    folder: PathBuf,
    /// The root below which packages were unpacked.
    root: PathBuf,
}

impl Database {
    /// Makes and starts a server; none where its programs are missing, which is said.
    #[allow(clippy::print_stderr, reason = "a test says what it leaves out")]
    pub async fn start(kind: Kind) -> Result<Option<Database>> {
        let Some(programs) = Programs::find(kind) else {
            eprintln!("left out: what needs {kind:?}, which is not here; tests/run unpacks it");
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut database = Database { kind, port: free, folder, programs, server: None };
        database.certificates()?;
        database.make()?;
        database.resume().await?;
        Ok(Some(database))
    }

    /// Stops the server at once. Its files stay.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // To be killed is not enough for the one: its children would live on.
        let _ = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
        if self.kind == Kind::MariaDb {
            let _ = server.kill();
        }
        let _ = server.wait();
    }

    /// Starts the server, again.
    pub async fn resume(&mut self) -> Result<()> {
        let log = std::fs::File::create(self.path("log"))?;
        let mut command = match self.kind {
            Kind::Postgres => self.postgres(),
            Kind::MariaDb => self.mariadb(),
        };
        let spawned = command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null()).spawn();
        self.server = Some(spawned.context("the server starts")?);
        let up = crate::wait::until("a server that answers", STARTS_WITHIN, async || {
            self.admin("SELECT 1").await.map(Some)
        });
        up.await.with_context(|| std::fs::read_to_string(self.path("log")).unwrap_or_default())
    }

    /// Executes statements as the one who owns the server.
    pub async fn admin(&self, statements: &str) -> Result<()> {
        match self.kind {
            Kind::Postgres => {
                let mut config = tokio_postgres::Config::new();
                config.host("127.0.0.1").port(self.port).user("postgres").password(PASSWORD);
                let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
                let mut driver = tokio::task::JoinSet::new();
                driver.spawn(connection);
                client.batch_execute(statements).await?;
            }
            Kind::MariaDb => {
                use mysql_async::prelude::Queryable;
                let opts = mysql_async::OptsBuilder::default()
                    .ip_or_hostname("127.0.0.1")
                    .tcp_port(self.port)
                    .user(Some(USER))
                    .pass(Some(PASSWORD))
                    .db_name(Some("postgres"))
                    .prefer_socket(false);
                let mut connection = mysql_async::Conn::new(opts).await?;
                connection.query_drop(statements).await?;
                connection.disconnect().await?;
            }
        }
        Ok(())
    }

    /// Executes statements of a file and lets [`USER`] ask for what they made.
    pub async fn fill(&self, statements: &str) -> Result<()> {
        self.admin(&format!("CREATE USER {USER} PASSWORD '{PASSWORD}'")).await?;
        self.admin(statements).await?;
        for kind in ["TABLES", "SEQUENCES"] {
            self.admin(&format!("GRANT ALL ON ALL {kind} IN SCHEMA public TO {USER}")).await?;
        }
        Ok(())
    }

    /// The file with the certificate of the authority that the server's is of.
    pub fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// A configuration that asks this server, as [`USER`], over `port`, which may be that of a
    /// [`Line`].
    pub fn asks(&self, port: u16, sql: &str, change: impl FnOnce(&mut serde_json::Value)) -> Sql {
        let kind = match self.kind {
            Kind::Postgres => "postgresql",
            Kind::MariaDb => "mysql",
        };
        let mut parameters = json!({
            "inputs": [],
            "database": {kind: {
                "host": "127.0.0.1", "port": port, "sslMode": false,
                "username": USER, "password": PASSWORD, "database": "postgres",
            }},
            "query": {"sql": sql},
            "output": {"expectedRows": "AT_LEAST_ZERO", "json": {
                "schema": "iglu:com.acme/enr_sql/jsonschema/1-0-0",
                "describes": "EVERY_ROW", "propertyNames": "AS_IS",
            }},
            "cache": {"size": 100, "ttl": 60},
        });
        change(&mut parameters);
        configured(&parameters)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program of the server, run without rights where the tests have all of them.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.folder.join(name);
        let mut command = match is_root() {
            false => Command::new(path),
            true => {
                let mut command = Command::new("setpriv");
                let nobody = NOBODY.to_string();
                command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(path);
                command
            }
        };
        command.env("LD_LIBRARY_PATH", self.programs.libraries()).current_dir(self.folder.path());
        command
    }

    /// An authority, and a certificate of it for this host, with its key.
    fn certificates(&self) -> Result<()> {
        let authority_key = rcgen::KeyPair::generate()?;
        let mut authority = rcgen::CertificateParams::new(Vec::new())?;
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let of_authority = authority.self_signed(&authority_key)?;
        let issuer = rcgen::Issuer::from_params(&authority, &authority_key);
        let key = rcgen::KeyPair::generate()?;
        let of_server = rcgen::CertificateParams::new(["127.0.0.1".to_owned()])?;
        let of_server = of_server.signed_by(&key, &issuer)?;
        std::fs::write(self.path("authority.pem"), of_authority.pem())?;
        std::fs::write(self.path("server.pem"), of_server.pem())?;
        std::fs::write(self.path("server.key"), key.serialize_pem())?;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path("server.key"), private)?;
        std::fs::write(self.path("password"), PASSWORD)?;
        std::fs::create_dir(self.path("data"))?;
        if is_root() {
            for path in ["", "server.pem", "server.key", "password", "data"] {
                chown(self.path(path), Some(NOBODY), Some(NOBODY))?;
            }
        }
        Ok(())
    }

    fn make(&self) -> Result<()> {
        match self.kind {
            Kind::Postgres => {
                let mut command = self.program("initdb");
                command.arg("-D").arg(self.path("data")).arg("--pwfile").arg(self.path("password"));
                command.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"]);
                run(command.args(["--locale=C", "--no-sync"]), b"")
            }
            Kind::MariaDb => {
                let shared = self.programs.root.join("usr/share/mysql");
                let mut script = b"create database mysql;\nuse mysql;\n".to_vec();
                for ending in
                    ["system_tables.sql", "performance_tables.sql", "system_tables_data.sql"]
                {
                    script.extend(std::fs::read(find(&shared, "", &format!("_{ending}"))?)?);
                }
                run(self.mariadb().arg("--bootstrap"), &script)?;
                let begin = format!(
                    "CREATE DATABASE IF NOT EXISTS postgres CHARACTER SET utf8mb4;\n\
                     CREATE USER IF NOT EXISTS {USER} IDENTIFIED BY '{PASSWORD}';\n\
                     GRANT ALL ON *.* TO {USER};\n"
                );
                Ok(std::fs::write(self.path("begin.sql"), begin)?)
            }
        }
    }

    fn postgres(&self) -> Command {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.path("data"));
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", self.path("server.pem").display()),
            format!("ssl_key_file={}", self.path("server.key").display()),
        ];
        for setting in settings {
            command.args(["-c", &setting]);
        }
        command
    }

    fn mariadb(&self) -> Command {
        let mut command = self.program("mariadbd");
        let usr = self.programs.root.join("usr");
        let path = |option: &str, path: PathBuf| {
            let mut argument = OsString::from(option);
            argument.push(path);
            argument
        };
        command.arg("--no-defaults");
        command.arg(path("--lc-messages-dir=", usr.join("share/mysql")));
        command.arg(path("--basedir=", usr));
        command.arg(path("--datadir=", self.path("data")));
        command.arg(path("--tmpdir=", self.path("data")));
        command.arg(path("--socket=", self.path("socket")));
        command.arg(path("--pid-file=", self.path("pid")));
        command.arg(path("--ssl-cert=", self.path("server.pem")));
        command.arg(path("--ssl-key=", self.path("server.key")));
        if self.path("begin.sql").exists() {
            command.arg(path("--init-file=", self.path("begin.sql")));
        }
        command.arg(format!("--port={}", self.port));
        command.args(["--bind-address=127.0.0.1", "--innodb-log-file-size=8M"]);
        command.args(["--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0"]);
        command
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Programs {
    fn find(kind: Kind) -> Option<Programs> {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/databases");
        let unpacked = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => Path::new(&target).join("tools/databases"),
            None => unpacked,
        };
        [unpacked, PathBuf::from("/")].into_iter().find_map(|root| {
            let root = root.canonicalize().ok()?;
            let folder = match kind {
                Kind::Postgres => find(&root.join("usr/lib/postgresql"), "", "").ok()?.join("bin"),
                Kind::MariaDb => root.join("usr/sbin"),
            };
            let server = if kind == Kind::Postgres { "postgres" } else { "mariadbd" };
            folder.join(server).exists().then_some(Programs { folder, root })
        })
    }

    /// What the packages bring and the system has not.
    fn libraries(&self) -> PathBuf {
        find(&self.root.join("usr/lib"), "", "-linux-gnu").unwrap_or_default()
    }
}

/// The one entry of a folder whose name begins and ends so; the last where there are more.
fn find(folder: &Path, begins: &str, ends: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let fits = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(begins) && name.ends_with(ends)
    };
    let mut fitting: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(fits).collect();
    fitting.sort();
    fitting.pop().with_context(|| format!("{begins}…{ends} in {}", folder.display()))
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn run(command: &mut Command, input: &[u8]) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    child.stdin.take().context("it is piped")?.write_all(input)?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}");
    Ok(())
}

/// A look-up that was configured with these parameters.
pub fn configured(parameters: &serde_json::Value) -> Sql {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let name = "sql_query_enrichment_config";
    let vendor = "com.snowplowanalytics.snowplow.enrichments";
    let configuration = json!({
        "schema": format!("iglu:{vendor}/{name}/jsonschema/1-0-1"),
        "data": {"vendor": vendor, "name": name, "enabled": true, "parameters": parameters},
    });
    std::fs::write(folder.path().join("sql.json"), configuration.to_string()).expect("it is new");
    let loaded = Enrichments::load(folder.path(), None, &enrichments::Options::default());
    let enrichments = loaded.unwrap_or_else(|errors| panic!("{errors:?}"));
    match enrichments.lookups().first() {
        Some(Lookup::Sql(sql)) => sql.clone(),
        other => panic!("{other:?} was configured"),
    }
}
