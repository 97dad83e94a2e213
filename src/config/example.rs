//! The commented example file and the README's table, made from the table of keys.

use super::keys::{Fallback, KEYS, Key};

/// Columns of a comment line in the example.
const COMMENT_COLUMNS: usize = 98;

/// `certgate.toml` with every key, its meaning and its default, all commented out: what is not set
/// follows the defaults of the version that runs.
pub fn example() -> String {
    let mut text = String::from(
        "# certgate.toml: every key with its default.\n\
         # A line without its leading # sets the key. Each key is also a variable, and that wins:\n\
         # CERTGATE_AUTH__LISTEN sets listen in [auth].\n\
         # Check with: certgate config check --config certgate.toml\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            text.push_str(&format!("\n[{section}]\n"));
        }
        text.push_str(&entry(key));
    }
    text
}

fn entry(key: &Key) -> String {
    let mut text = String::from("\n");
    push_comment(&mut text, key.meaning);
    let value = match key.fallback {
        Fallback::Value(value) => value,
        Fallback::Words { words, sample } => {
            push_comment(&mut text, &format!("Default: {words}. For example:"));
            sample
        }
    };
    text.push_str(&format!("#{} = {value}\n", key.leaf()));
    text
}

fn push_comment(text: &mut String, comment: &str) {
    let mut line = String::from("#");
    for word in comment.split_whitespace() {
        if line.len() + 1 + word.len() > COMMENT_COLUMNS {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// The table of keys for the README: key, default, meaning.
pub fn markdown_table() -> String {
    let mut text = String::from("| key | default | meaning |\n|---|---|---|\n");
    for key in KEYS {
        let default = match key.fallback {
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Words { words, .. } => words.to_owned(),
        };
        let meaning = key.meaning.replace('|', "\\|");
        text.push_str(&format!("| `{}` | {default} | {meaning} |\n", key.name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_is_what_the_program_prints() {
        let shipped = include_str!("../../deploy/certgate.example.toml");
        assert_eq!(shipped, example(), "write it anew with: certgate config example");
    }
}
