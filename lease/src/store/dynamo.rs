//! [`Dynamo`]: a lease table in DynamoDB.

use aws_sdk_dynamodb::Client;

/// A lease table in DynamoDB.
#[derive(Clone, Debug)]
pub struct Dynamo {
    client: Client,
    table: String,
}

impl Dynamo {
    /// The table of that name.
    pub fn new(client: Client, table: &str) -> Dynamo {
        Dynamo { client, table: table.to_owned() }
    }
}
