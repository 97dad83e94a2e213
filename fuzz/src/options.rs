//! The options in the query of a question.

use certgate::decide::{Options, Required};

/// What is read means exactly what stands there: written anew from its meaning, it reads as the
/// same, and without any option there is no restriction and no favour.
pub fn check(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let Ok(options) = Options::parse(query) else { return };
    if query.is_empty() {
        assert_eq!(options, Options::default());
    }
    let asked = |word: &str| query.split('&').filter(|part| part.starts_with(word)).count();
    assert_eq!(usize::from(options.certificate_is_optional), asked("certificate=optional"));
    let mut parts: Vec<String> = options.required.iter().map(write).collect();
    assert_eq!(parts.len(), asked("require="));
    if options.certificate_is_optional {
        parts.push("certificate=optional".to_owned());
    }
    assert_eq!(Options::parse(&parts.join("&")), Ok(options));
}

fn write(required: &Required) -> String {
    let (word, name) = match required {
        Required::Group(name) => ("group", name),
        Required::User(name) => ("user", name),
    };
    let escaped: String = name.as_str().bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("require={word}:{escaped}")
}
