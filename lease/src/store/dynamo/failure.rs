//! What a failed request to DynamoDB means, and how it is told: one line that names the table, the
//! action and what came back.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::error::Error;

/// What a request came to that did not do what it was to do.
pub(super) fn of<E>(action: &str, table: &str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let text = format!("{action} of table {table}: {}", words(error)).into();
    match kind(status(error), error.code(), error.message()) {
        Kind::Passing => Error::Unavailable(text),
        Kind::NoTable => Error::Missing(text),
        Kind::Lasting => Error::Unusable(text),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Passing,
    NoTable,
    Lasting,
}

/// The status counts before the code: what lies between us and the service has codes of its own, or
/// none, and a service in trouble may say anything. Credentials pass, too: they may have just been
/// renewed, and are not known everywhere yet.
fn kind(status: Option<u16>, code: Option<&str>, message: Option<&str>) -> Kind {
    if status.is_none_or(|status| status >= 500 || status == 429 || status == 408) {
        return Kind::Passing;
    }
    match code {
        Some("ResourceNotFoundException") => Kind::NoTable,
        Some("AccessDeniedException" | "AccessDenied") => Kind::Lasting,
        // One item that holds a text where a number belongs says nothing of the others.
        Some("ValidationException") if message.is_some_and(|text| text.contains("operand")) => {
            Kind::Passing
        }
        Some("ValidationException") => Kind::Lasting,
        _ => Kind::Passing,
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// The service's words, or else those of whatever failed on the way, with all causes; of
/// credentials that are not there only that, since the SDK lists everything that it tried.
fn words<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let text = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => match status(error) {
            Some(status) => format!("status {status}: {}", causes(error)),
            None => causes(error),
        },
    };
    // Whatever came back, it stays one line.
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

/// Longer than any message of the service.
const LONGEST: usize = 500;

fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(CredentialsError::CredentialsNotLoaded(_)) = error.downcast_ref() {
            return "no AWS credentials were found".to_owned();
        }
        cause = error.source();
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_counts_before_the_code() {
        let denied = Some("AccessDeniedException");
        for (status, code, expected) in [
            (Some(400), denied, Kind::Lasting),
            (Some(400), Some("ValidationException"), Kind::Lasting),
            (Some(400), Some("ResourceNotFoundException"), Kind::NoTable),
            (Some(400), Some("ProvisionedThroughputExceededException"), Kind::Passing),
            (Some(400), Some("ExpiredTokenException"), Kind::Passing),
            (Some(400), Some("UnrecognizedClientException"), Kind::Passing),
            (Some(400), Some("SomethingNew"), Kind::Passing),
            // Not what it says, but whence it comes.
            (Some(500), denied, Kind::Passing),
            (Some(503), Some("ValidationException"), Kind::Passing),
            (Some(503), None, Kind::Passing),
            (Some(502), Some("ResourceNotFoundException"), Kind::Passing),
            (Some(429), denied, Kind::Passing),
            (Some(408), None, Kind::Passing),
            (Some(403), None, Kind::Passing),
            (None, None, Kind::Passing),
        ] {
            assert_eq!(kind(status, code, None), expected, "{status:?} {code:?}");
        }
    }

    #[test]
    fn one_odd_item_is_no_odd_table() {
        let message = "An operand in the update expression has an incorrect data type";
        let validation = Some("ValidationException");
        assert_eq!(kind(Some(400), validation, Some(message)), Kind::Passing);
        let message = "The provided key element does not match the schema";
        assert_eq!(kind(Some(400), validation, Some(message)), Kind::Lasting);
    }
}
