//! The lifecycle hook of an autoscaling group: one request, signed as all of AWS's are. A client of
//! the whole service would be larger than the rest of this program's calls.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::{Client, Url};

use crate::aws::Autoscaling;
use crate::causes::chain;
use crate::clock;

/// An answer takes some hundred milliseconds.
const SOON: Duration = Duration::from_secs(10);

/// The most of an answer that is read.
const ANSWER: usize = 16 << 10;

/// A hook that holds a machine until it is completed.
#[derive(Debug)]
pub struct Hook {
    group: String,
    name: String,
    endpoint: Url,
    service: Autoscaling,
    client: Client,
}

/// Why a hook is not completed.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Uncompleted {
    /// In words.
    pub why: String,
    /// Whether it may be later.
    pub passing: bool,
}

impl Hook {
    /// A hook of a group, by its name.
    pub fn new(service: Autoscaling, group: &str, name: &str) -> Result<Hook, String> {
        let endpoint = Url::parse(&service.endpoint).map_err(|error| error.to_string())?;
        // Whoever installs a provider first wins; it is the same one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(SOON).build().map_err(|error| chain(&error))?;
        let (group, name) = (group.to_owned(), name.to_owned());
        Ok(Hook { group, name, endpoint, service, client })
    }

    /// The group that it is of, by name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The hook's name in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says that the group may go on with a machine.
    pub async fn complete(&self, instance: &str) -> Result<(), Uncompleted> {
        let passing = |why| Uncompleted { why, passing: true };
        let credentials = self.service.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| passing(chain(&error)))?;
        let body = self.words(instance);
        let identity = credentials.into();
        let time = UNIX_EPOCH + Duration::from_millis(clock::now_ms().unsigned_abs());
        let lasting =
            |error: &dyn std::error::Error| Uncompleted { why: error.to_string(), passing: false };
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.service.region.as_ref())
            .name("autoscaling")
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| lasting(&error))?
            .into();
        let headers = [("content-type", FORM)];
        let request = SignableRequest::new(
            "POST",
            self.endpoint.as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        );
        let request = request.map_err(|error| lasting(&error))?;
        let (signed, _) = sign(request, &params).map_err(|error| lasting(&error))?.into_parts();
        let mut request = self.client.post(self.endpoint.clone()).header("content-type", FORM);
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| passing(chain(&error.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = answer.bytes().await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body[..body.len().min(ANSWER)]).into_owned();
        let (code, message) = (between(&body, "Code"), between(&body, "Message"));
        // No action waits yet, or somebody else has completed it: it can only be tried again.
        let passes = status.is_server_error() || ["ValidationError", "Throttling"].contains(&code);
        Err(Uncompleted { why: format!("{} {code}: {message}", status.as_u16()), passing: passes })
    }

    fn words(&self, instance: &str) -> String {
        let mut form = self.endpoint.clone();
        form.query_pairs_mut()
            .clear()
            .append_pair("Action", "CompleteLifecycleAction")
            .append_pair("Version", "2011-01-01")
            .append_pair("AutoScalingGroupName", &self.group)
            .append_pair("LifecycleHookName", &self.name)
            .append_pair("InstanceId", instance)
            .append_pair("LifecycleActionResult", "CONTINUE");
        // What stands behind the question mark is what a form has in its body.
        form.as_str().split_once('?').map_or_else(String::new, |(_, form)| form.to_owned())
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The text of the first element of that name.
fn between<'a>(xml: &'a str, name: &str) -> &'a str {
    let after = xml.split_once(&format!("<{name}>")).map(|(_, after)| after);
    let text = after.and_then(|after| after.split_once(&format!("</{name}>")));
    text.map_or("", |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use aws_config::Region;
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request and returns it.
    async fn answer(listener: &TcpListener, status: &str, body: &str) -> String {
        let (mut stream, _) = listener.accept().await.expect("a request");
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("LifecycleActionResult=CONTINUE") {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.expect("it is sent");
            request.extend_from_slice(&part[..length]);
        }
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.expect("it is read");
        String::from_utf8_lossy(&request).into_owned()
    }

    #[tokio::test]
    async fn a_hook_is_completed_by_a_signed_form() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let credentials = Credentials::new("AKID", "secret", Some("token".into()), None, "test");
        let credentials = SharedCredentialsProvider::new(credentials);
        let region = Region::new("eu-west-1");
        let service = Autoscaling { endpoint, region, credentials };
        let hook = Hook::new(service, "a group", "drain").expect("it can be made");

        let (done, request) =
            tokio::join!(hook.complete("i-1"), answer(&listener, "200 OK", "<x/>"));
        done.expect("it was taken");
        assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
        let scope = "/eu-west-1/autoscaling/aws4_request, SignedHeaders=";
        for part in [scope, "Credential=AKID/", "x-amz-security-token: token", "x-amz-date: "] {
            assert!(request.contains(part), "{part}: {request}");
        }
        assert!(!request.contains("secret"), "{request}");
        let body = "Action=CompleteLifecycleAction&Version=2011-01-01&AutoScalingGroupName=a+group\
                    &LifecycleHookName=drain&InstanceId=i-1&LifecycleActionResult=CONTINUE";
        assert!(request.ends_with(body), "{request}");

        let error = |code: &str, message: &str| {
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            )
        };
        for (status, body, why, passing) in [
            (
                "400 Bad Request",
                error("ValidationError", "No active Lifecycle Action found"),
                "400 ValidationError: No active Lifecycle Action found",
                true,
            ),
            ("403 Forbidden", error("AccessDenied", "not you"), "403 AccessDenied: not you", false),
            ("503 Busy", String::new(), "503 : ", true),
        ] {
            let (done, _) = tokio::join!(hook.complete("i-1"), answer(&listener, status, &body));
            let refused = done.expect_err(status);
            assert_eq!((refused.why.as_str(), refused.passing), (why, passing));
        }
    }
}
