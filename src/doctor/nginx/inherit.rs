//! What a block has of the blocks around it, by nginx's own rules.

use std::collections::HashMap;

use super::tree::Directive;

/// Directives of which a block has all those of the block around it, or, with one of its own, none
/// of them.
const LISTS: [&str; 8] = [
    "add_header",
    "auth_request_set",
    "error_page",
    "fastcgi_param",
    "grpc_set_header",
    "proxy_set_header",
    "scgi_param",
    "uwsgi_param",
];

/// Directives whose value holds further in until another one.
const VALUES: [&str; 11] = [
    "auth_request",
    "ignore_invalid_headers",
    "proxy_cache",
    "proxy_intercept_errors",
    "proxy_pass_request_body",
    "proxy_pass_request_headers",
    "satisfy",
    "ssl_early_data",
    "ssl_verify_client",
    "mirror",
    "underscores_in_headers",
];

/// What holds in one block.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope<'d> {
    lists: HashMap<&'static str, Vec<&'d Directive>>,
    values: HashMap<&'static str, &'d Directive>,
}

impl<'d> Scope<'d> {
    /// The outermost block.
    pub(super) fn root(directives: &[&'d Directive]) -> Self {
        Self::default().with(directives.iter().copied())
    }

    /// A block within this one.
    pub(super) fn enter(&self, block: &'d Directive) -> Self {
        self.clone().with(block.block())
    }

    fn with(mut self, directives: impl Iterator<Item = &'d Directive>) -> Self {
        let mut own: HashMap<&'static str, Vec<&'d Directive>> = HashMap::new();
        for one in directives.filter(|one| one.block.is_none()) {
            if let Some(name) = LISTS.iter().find(|name| **name == one.name) {
                own.entry(name).or_default().push(one);
            }
            if let Some(name) = VALUES.iter().find(|name| **name == one.name) {
                self.values.insert(name, one);
            }
        }
        self.lists.extend(own);
        self
    }

    /// All lines of a list that hold here.
    pub(super) fn list(&self, name: &str) -> &[&'d Directive] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }

    /// The directive whose value holds here.
    pub(super) fn directive(&self, name: &str) -> Option<&'d Directive> {
        self.values.get(name).copied()
    }

    /// The value that holds here; empty where nobody set one.
    pub(super) fn value(&self, name: &str) -> &'d str {
        self.directive(name).map_or("", |one| one.arg(0))
    }
}
