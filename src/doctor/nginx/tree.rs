//! The directives of a configuration as a tree, included files in their places.

use std::collections::HashMap;
use std::rc::Rc;

use super::lexer::{Lexer, MAX_DEPTH, SyntaxError, Token};

/// A directive, with its block if it has one.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) block: Option<Vec<Directive>>,
    file: Rc<str>,
    line: usize,
}

impl Directive {
    /// What is in its block.
    pub(super) fn block(&self) -> impl Iterator<Item = &Directive> {
        self.block.iter().flatten()
    }

    /// File and line.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// One argument; empty where there is none.
    pub(super) fn arg(&self, at: usize) -> &str {
        self.args.get(at).map_or("", String::as_str)
    }

    /// As somebody wrote it, without its block.
    pub(super) fn shown(&self) -> String {
        std::iter::once(&self.name).chain(&self.args).cloned().collect::<Vec<_>>().join(" ")
    }
}

/// The files of `nginx -T`, by their names; the first is the main one.
pub(super) struct Files {
    files: Vec<(Rc<str>, Vec<Directive>)>,
}

/// What `nginx -T` prints before each file.
const MARK: &str = "# configuration file ";
/// Most directives after includes; a loop of includes would have no end.
const MAX_DIRECTIVES: usize = 500_000;

/// An include that leads nowhere: its pattern and its place.
pub(super) type Unresolved = (String, String);

impl Files {
    /// Splits the output of `nginx -T`; a text without its marks is one file.
    pub(super) fn split(text: &str) -> Result<Self, SyntaxError> {
        let mut parts: Vec<(&str, String)> = Vec::new();
        for line in text.lines() {
            let name = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(':'));
            match (name, parts.last_mut()) {
                (Some(name), _) => parts.push((name, String::new())),
                (None, Some((_, part))) => {
                    part.push_str(line);
                    part.push('\n');
                }
                // What nginx says of the test before the first file.
                (None, None) if text.contains(MARK) => {}
                (None, None) => parts.push(("nginx.conf", format!("{line}\n"))),
            }
        }
        let read = |(name, text): (&str, String)| {
            let name: Rc<str> = name.into();
            let mut lexer = Lexer::new(&text);
            let directives = read_block(&mut lexer, &name, 0)?;
            Ok((name, directives))
        };
        Ok(Self { files: parts.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    /// The main file with every include in its place, and the includes that lead nowhere.
    pub(super) fn resolve(&self) -> (Vec<Directive>, Vec<Unresolved>) {
        let mut resolver = Resolver {
            by_name: self.files.iter().map(|(name, list)| (&**name, list)).collect(),
            folder: self.files.first().map_or("", |(name, _)| folder(name)),
            room: MAX_DIRECTIVES,
            unresolved: Vec::new(),
        };
        let main = self.files.first().map_or(&[][..], |(_, list)| list);
        let directives = resolver.expand(main, 0);
        (directives, resolver.unresolved)
    }
}

struct Resolver<'f> {
    by_name: HashMap<&'f str, &'f Vec<Directive>>,
    /// Of the main file: relative includes are beside it.
    folder: &'f str,
    room: usize,
    unresolved: Vec<Unresolved>,
}

impl Resolver<'_> {
    fn expand(&mut self, list: &[Directive], depth: usize) -> Vec<Directive> {
        let mut expanded = Vec::new();
        for one in list {
            if self.room == 0 || depth > MAX_DEPTH {
                break;
            }
            self.room -= 1;
            if one.name == "include" && one.block.is_none() {
                expanded.extend(self.include(one, depth));
                continue;
            }
            let block = one.block.as_ref().map(|block| self.expand(block, depth + 1));
            expanded.push(Directive { block, ..one.clone() });
        }
        expanded
    }

    fn include(&mut self, include: &Directive, depth: usize) -> Vec<Directive> {
        let wanted = include.arg(0);
        let pattern = if wanted.starts_with('/') || self.folder.is_empty() {
            wanted.to_owned()
        } else {
            format!("{}/{wanted}", self.folder)
        };
        let mut names: Vec<&str> =
            self.by_name.keys().filter(|name| is_match(&pattern, name)).copied().collect();
        names.sort_unstable();
        // A pattern may match nothing, a name must be there.
        if names.is_empty() && !pattern.contains(['*', '?', '[']) {
            self.unresolved.push((wanted.to_owned(), include.place()));
        }
        let lists: Vec<_> =
            names.iter().filter_map(|name| self.by_name.get(name).copied()).collect();
        lists.into_iter().flat_map(|list| self.expand(list, depth + 1)).collect()
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A shell pattern; `*` and `?` stand for no slash.
fn is_match(pattern: &str, name: &str) -> bool {
    let (mut pattern_rest, mut name_rest) = (pattern.chars(), name.chars());
    loop {
        let pattern_now = pattern_rest.as_str();
        match pattern_rest.next() {
            None => return name_rest.as_str().is_empty(),
            Some('*') => {
                let after = pattern_rest.as_str();
                let mut tail = name_rest.as_str();
                loop {
                    if is_match(after, tail) {
                        return true;
                    }
                    match tail.chars().next() {
                        None | Some('/') => return false,
                        Some(c) => tail = tail.get(c.len_utf8()..).unwrap_or_default(),
                    }
                }
            }
            Some('?') => match name_rest.next() {
                None | Some('/') => return false,
                Some(_) => {}
            },
            Some('[') if pattern_now.contains(']') => {
                let (set, rest) = pattern_rest.as_str().split_once(']').unwrap_or_default();
                let Some(c) = name_rest.next() else { return false };
                if !is_in_set(set, c) {
                    return false;
                }
                pattern_rest = rest.chars();
            }
            Some(c) => {
                if name_rest.next() != Some(c) {
                    return false;
                }
            }
        }
    }
}

fn is_in_set(set: &str, c: char) -> bool {
    let (is_negated, set) = match set.strip_prefix(['!', '^']) {
        Some(set) => (true, set),
        None => (false, set),
    };
    let chars: Vec<char> = set.chars().collect();
    let in_range = chars.windows(3).any(|range| match range {
        [from, '-', to] => (*from..=*to).contains(&c),
        _ => false,
    });
    (in_range || chars.contains(&c)) != is_negated
}

fn read_block(
    lexer: &mut Lexer<'_>,
    file: &Rc<str>,
    depth: usize,
) -> Result<Vec<Directive>, SyntaxError> {
    let mut list = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut line = lexer.line;
    loop {
        let unfinished = |line| SyntaxError::Unfinished(format!("{file}:{line}"));
        let braces = |line| SyntaxError::Braces(format!("{file}:{line}"));
        let token = lexer.next().map_err(|()| unfinished(line))?;
        match token {
            None if !words.is_empty() => return Err(unfinished(line)),
            None if depth > 0 => return Err(braces(lexer.line)),
            None => return Ok(list),
            Some(Token::Close) if depth == 0 => return Err(braces(lexer.line)),
            Some(Token::Close) if !words.is_empty() => return Err(unfinished(line)),
            Some(Token::Close) => return Ok(list),
            Some(Token::Word(word)) => {
                if words.is_empty() {
                    line = lexer.line;
                }
                words.push(word);
            }
            Some(end @ (Token::End | Token::Open)) => {
                let mut words = std::mem::take(&mut words).into_iter();
                let name = words.next().unwrap_or_default();
                let args = words.collect();
                let block = if end == Token::End {
                    None
                } else if name.ends_with("_by_lua_block") {
                    lexer.skip_block().map_err(|()| braces(line))?;
                    Some(Vec::new())
                } else if depth >= MAX_DEPTH {
                    return Err(SyntaxError::TooDeep(format!("{file}:{line}")));
                } else {
                    Some(read_block(lexer, file, depth + 1)?)
                };
                if !name.is_empty() {
                    list.push(Directive { name, args, block, file: Rc::clone(file), line });
                }
            }
        }
    }
}
