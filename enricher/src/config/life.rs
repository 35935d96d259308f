//! What ends a worker besides signals: notices that its machine is to go.

use serde::Deserialize;

use super::Text;

/// `[life]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Life {
    /// Notices of EC2 that start a drain; none if absent.
    pub notices: Vec<Notice>,
    /// The lifecycle hook that is completed when the drain is done; none if absent.
    pub hook: Option<Hook>,
}

/// A notice that a machine is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// A spot instance is interrupted in two minutes.
    Spot,
    /// A spot instance is likely to be interrupted.
    Rebalance,
    /// The autoscaling group takes the instance out.
    Group,
}

impl Notice {
    /// As configurations and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Notice::Spot => "spot",
            Notice::Rebalance => "rebalance",
            Notice::Group => "group",
        }
    }
}

/// `[life.hook]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The autoscaling group.
    pub group: Text,
    /// The name of its hook.
    pub name: Text,
}
