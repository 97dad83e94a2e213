//! What an import did, would do, or did not do.

use serde_json::Value;

use crate::cli::output::{Fields, Printer};
use crate::cli::pattern;
use crate::operator::import::Plan;

/// Prints a plan: for a dry run every row, otherwise what was refused and how much was done.
pub(super) fn print(
    plan: &Plan,
    dry_run: bool,
    is_done: bool,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(&document(plan, dry_run, is_done));
    }
    if dry_run {
        rows(plan, printer)?;
    }
    for remark in &plan.remarks {
        printer.line(remark)?;
    }
    for refused in &plan.refused {
        printer.line(&format!("refused: {refused}"))?;
    }
    if let Some(why) = &plan.forbidden {
        printer.line(&format!("refused: {why}"))?;
    }
    printer.line(&sentence(plan, dry_run, is_done))
}

fn rows(plan: &Plan, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    for block in &plan.blocks {
        printer.line(&format!("block {}", pattern::line(&block.new.pattern)))?;
    }
    for user in &plan.users {
        let groups = match user.groups.as_slice() {
            [] => String::new(),
            groups => format!(" in {}", groups.join(", ")),
        };
        printer.line(&format!("add user {}{groups}", user.username))?;
    }
    for member in &plan.members {
        printer.line(&format!("put {} into {}", member.username, member.group_name))?;
    }
    for mapping in &plan.mappings {
        let state = match (&mapping.revoked_at, mapping.disabled) {
            (Some(_), _) => ", revoked",
            (None, true) => ", disabled",
            (None, false) => "",
        };
        let columns = pattern::line(&mapping.new.pattern);
        printer.line(&format!("map to {}{state}: {columns}", mapping.new.username))?;
    }
    for (id, until) in &plan.retired {
        printer.line(&format!("end mapping {id} at {until}"))?;
    }
    for id in &plan.removed_mappings {
        printer.line(&format!("remove mapping {id}"))?;
    }
    for username in &plan.removed_users {
        printer.line(&format!("remove user {username}"))?;
    }
    Ok(())
}

fn counts(plan: &Plan) -> [(&'static str, usize); 7] {
    [
        ("users", plan.users.len()),
        ("memberships", plan.members.len()),
        ("mappings", plan.mappings.len()),
        ("blocks", plan.blocks.len()),
        ("retired", plan.retired.len()),
        ("removed_mappings", plan.removed_mappings.len()),
        ("removed_users", plan.removed_users.len()),
    ]
}

fn sentence(plan: &Plan, dry_run: bool, is_done: bool) -> String {
    let already = plan.already;
    let there = already.users + already.members + already.mappings + already.blocks;
    let refused = plan.refused.len();
    if !is_done {
        let remedy = match &plan.forbidden {
            Some(_) => String::new(),
            None => format!("; mend {}, or say --skip-refused", them(refused)),
        };
        let count = refused + usize::from(plan.forbidden.is_some());
        return format!("Nothing was imported: {count} refused{remedy}.");
    }
    let parts: Vec<String> = counts(plan)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(noun, count)| match noun {
            "retired" => format!("{count} mappings to end"),
            "removed_mappings" => format!("{count} mappings removed"),
            "removed_users" => format!("{count} users removed"),
            noun => format!("{count} new {noun}"),
        })
        .collect();
    let what = if parts.is_empty() { "nothing new".to_owned() } else { parts.join(", ") };
    let begin = if dry_run { "Would import" } else { "Imported" };
    let left =
        if refused > 0 { format!("; {refused} refused and left out") } else { String::new() };
    format!("{begin}: {what}; {there} there already{left}.")
}

const fn them(count: usize) -> &'static str {
    if count == 1 { "it" } else { "them" }
}

fn document(plan: &Plan, dry_run: bool, is_done: bool) -> Fields {
    let already = Fields::default()
        .with("users", plan.already.users)
        .with("memberships", plan.already.members)
        .with("mappings", plan.already.mappings)
        .with("blocks", plan.already.blocks);
    let refused: Value = plan
        .refused
        .iter()
        .map(|refused| {
            Value::from(
                Fields::default()
                    .with("place", refused.place.to_string())
                    .with("why", refused.why.as_str()),
            )
        })
        .collect();
    let mut fields =
        Fields::default().with("imported", is_done && !dry_run).with("dry_run", dry_run);
    for (name, count) in counts(plan) {
        fields = fields.with(name, count);
    }
    fields
        .with("already", Value::from(already))
        .with("refused", refused)
        .with("forbidden", plan.forbidden.as_deref())
        .with("remarks", plan.remarks.clone())
}
