//! Words, `;`, `{` and `}` of nginx's configuration, as nginx splits them.

/// Why a text is no configuration of nginx.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SyntaxError {
    /// A block that is never closed, or a `}` without one.
    #[error("{0}: braces do not match")]
    Braces(String),
    /// A directive without its `;`, or a quote without its end.
    #[error("{0}: it ends in the middle of a directive")]
    Unfinished(String),
    /// More blocks in blocks than anybody writes.
    #[error("{0}: blocks are nested deeper than {MAX_DEPTH}")]
    TooDeep(String),
}

/// Most blocks within blocks.
pub(super) const MAX_DEPTH: usize = 64;

/// A piece of the configuration and its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    Word(String),
    End,
    Open,
    Close,
}

/// Splits a text.
pub(super) struct Lexer<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    pub(super) line: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text.chars().peekable(), line: 1 }
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// The next piece; none at the end, an error in the middle of a quote.
    pub(super) fn next(&mut self) -> Result<Option<Token>, ()> {
        loop {
            match self.rest.peek() {
                None => return Ok(None),
                Some(c) if c.is_whitespace() => {
                    self.bump();
                }
                Some('#') => while self.bump().is_some_and(|c| c != '\n') {},
                Some(';') => {
                    self.bump();
                    return Ok(Some(Token::End));
                }
                Some('{') => {
                    self.bump();
                    return Ok(Some(Token::Open));
                }
                Some('}') => {
                    self.bump();
                    return Ok(Some(Token::Close));
                }
                Some(quote @ ('"' | '\'')) => {
                    let quote = *quote;
                    self.bump();
                    return self.quoted(quote).map(Some);
                }
                Some(_) => return Ok(Some(self.word())),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, ()> {
        let mut word = String::new();
        loop {
            match self.bump().ok_or(())? {
                '\\' => word.extend(self.escaped()),
                c if c == quote => return Ok(Token::Word(word)),
                c => word.push(c),
            }
        }
    }

    fn word(&mut self) -> Token {
        let mut word = String::new();
        while let Some(c) = self.rest.peek().copied() {
            // `${name}` is a variable, not a block.
            let is_variable = c == '{' && word.ends_with('$');
            if c.is_whitespace() || c == ';' || (c == '{' && !is_variable) {
                break;
            }
            self.bump();
            match c {
                '\\' => word.extend(self.escaped()),
                c => word.push(c),
            }
        }
        Token::Word(word)
    }

    /// nginx drops the backslash before quotes, blanks and itself, and reads t, r and n.
    fn escaped(&mut self) -> Vec<char> {
        match self.bump() {
            Some(c @ ('"' | '\'' | '\\' | ' ')) => vec![c],
            Some('t') => vec!['\t'],
            Some('r') => vec!['\r'],
            Some('n') => vec!['\n'],
            Some(other) => vec!['\\', other],
            None => vec!['\\'],
        }
    }

    /// Passes over the body of a Lua block up to its end; the `{` was read.
    pub(super) fn skip_block(&mut self) -> Result<(), ()> {
        let mut depth = 1;
        while depth > 0 {
            match self.bump().ok_or(())? {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }
}
