//! The words of an expression with their places. The parser of the language gives none for what it understands, and
//! its recursion follows the text: what is deep, or no part of our subset, is told here and never reaches it.

use super::super::fault::quoted;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    Symbol,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// In bytes.
    pub(super) at: usize,
}

impl Token<'_> {
    /// Whether the parsed tree has a leaf for it.
    pub(super) fn is_leaf(&self) -> bool {
        self.kind != Kind::Symbol && self.text != "in"
    }
}

/// Something wrong at a byte of the expression.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

/// How deep brackets may stand in each other, and how many signs may precede a value.
pub const DEPTH_MAX: usize = 16;
/// Words and symbols, lists included.
const TOKENS_MAX: usize = 500;
/// Found before giving up.
const PROBLEMS_MAX: usize = 10;

const FLOAT_HINT: &str = "there are only whole numbers: write amounts in minor units (12.50 is 1250), shares in \
                          permille (0.25 is 250)";
const CHOICE_HINT: &str = "write (a && b) || (!a && c)";

/// The tokens, or what is wrong with the text by itself.
pub(super) fn scan(text: &str) -> Result<Vec<Token<'_>>, Vec<Problem>> {
    let mut scanner = Scanner { text, at: 0, tokens: Vec::new(), problems: Vec::new(), open: Vec::new() };
    while scanner.step() && scanner.problems.len() < PROBLEMS_MAX {}
    if scanner.problems.is_empty()
        && let Some(open) = scanner.open.last()
    {
        scanner.problems.push(Problem { at: *open, message: "this bracket is not closed".to_owned(), hint: None });
    }
    match scanner.problems.is_empty() {
        true => Ok(scanner.tokens),
        false => Err(scanner.problems),
    }
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token<'t>>,
    problems: Vec<Problem>,
    /// Where the open brackets stand.
    open: Vec<usize>,
}

impl<'t> Scanner<'t> {
    fn problem(&mut self, at: usize, message: impl Into<String>, hint: Option<&'static str>) {
        self.problems.push(Problem { at, message: message.into(), hint });
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes one token; false at the end, or where going on would mislead.
    fn step(&mut self) -> bool {
        let rest = self.rest();
        let white = rest.len() - rest.trim_start().len();
        self.at += white;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return false };
        if TOKENS_MAX <= self.tokens.len() {
            self.problem(self.at, "the expression has too many words", Some("use lists, or several rules"));
            return false;
        }
        let start = self.at;
        match first {
            'a'..='z' | 'A'..='Z' | '_' => self.word(rest),
            '0'..='9' => self.number(rest),
            '\'' | '"' => return self.quoted_text(rest, first),
            _ => return self.symbol(rest, first),
        }
        start < self.at
    }

    fn push(&mut self, kind: Kind, len: usize) {
        let text = self.rest().get(..len).unwrap_or_default();
        self.tokens.push(Token { kind, text, at: self.at });
        self.at += len;
    }

    fn word(&mut self, rest: &'t str) {
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        let follows = rest.get(len..).unwrap_or_default();
        let (at, selected) = (self.at, self.tokens.last().is_some_and(|token| token.text == "."));
        let called = follows.trim_start().starts_with('(');
        if follows.starts_with(['\'', '"']) {
            self.problem(
                at,
                format!("{} before a text has no meaning here", quoted(word)),
                Some("write the text alone"),
            );
        } else if !selected && matches!(word.to_lowercase().as_str(), "and" | "or" | "not") {
            let message = format!("{} is no word of the language", quoted(word));
            self.problem(at, message, Some("write && for and, || for or, ! for not"));
        } else if called && selected && matches!(word, "all" | "exists" | "exists_one" | "existsOne" | "map" | "filter")
        {
            let message = format!("`{word}` goes over a list item by item, which conditions cannot");
            self.problem(at, message, Some("write 'x' in list, size(list) > 0 or has(list)"));
        }
        self.push(Kind::Word, len);
    }

    fn number(&mut self, rest: &'t str) {
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (number, follows) = rest.split_at_checked(len).unwrap_or((rest, ""));
        let decimals = follows.strip_prefix('.').is_some_and(|more| more.starts_with(|c: char| c.is_ascii_digit()));
        let exponent = number.contains(['e', 'E']) && !number.starts_with("0x");
        let at = self.at;
        if decimals || exponent {
            let decimals = follows.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(follows.len());
            let len = if exponent { len } else { len + decimals };
            let shown = rest.get(..len).unwrap_or_default();
            self.problem(at, format!("{} is no whole number", quoted(shown)), Some(FLOAT_HINT));
            self.push(Kind::Number, len);
            return;
        }
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            self.problem(at, format!("{} is no whole number", quoted(number)), Some("write digits alone"));
        } else if 1 < number.len() && number.starts_with('0') {
            self.problem(at, format!("{} begins with a zero", quoted(number)), None);
        } else if number.parse::<i64>().is_err() {
            self.problem(at, format!("{} is too large", quoted(number)), None);
        }
        self.push(Kind::Number, len);
    }

    fn quoted_text(&mut self, rest: &'t str, quote: char) -> bool {
        let at = self.at;
        let triple = rest.get(..3).is_some_and(|three| three.chars().all(|c| c == quote));
        if triple {
            self.problem(at, "texts stand in one pair of quotes", Some("write 'text'"));
            return false;
        }
        let mut chars = rest.char_indices().skip(1);
        while let Some((index, c)) = chars.next() {
            match c {
                '\n' | '\r' => break,
                '\\' => {
                    let escaped = chars.next().map(|(_, c)| c);
                    if !matches!(escaped, Some('\\' | '\'' | '"')) {
                        let hint = "only \\\\, \\' and \\\" are known";
                        self.problem(at + index, "this escape has no meaning here", Some(hint));
                    }
                }
                c if c == quote => {
                    self.push(Kind::Text, index + 1);
                    return true;
                }
                _ => {}
            }
        }
        self.problem(at, "this text has no end", Some("close it with the quote that it begins with, on the same line"));
        false
    }

    fn symbol(&mut self, rest: &'t str, first: char) -> bool {
        const SYMBOLS: &[&str] =
            &["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "%", "(", ")", "[", "]", ",", ".", "/"];
        let at = self.at;
        if rest.starts_with("//") {
            self.problem(at, "an expression has no comments", Some("write the comment beside it in the file, after #"));
            return false;
        }
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.push(Kind::Symbol, symbol.len());
            return self.brackets(symbol, at);
        }
        let (message, hint) = match first {
            '=' => ("a single = has no meaning".to_owned(), Some("write == to compare")),
            '&' => ("a single & has no meaning".to_owned(), Some("write && for and")),
            '|' => ("a single | has no meaning".to_owned(), Some("write || for or")),
            '?' | ':' => ("choices with ? : are not part of conditions".to_owned(), Some(CHOICE_HINT)),
            '{' | '}' => ("maps and messages are not part of conditions".to_owned(), Some("lists are written [a, b]")),
            '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => {
                (format!("{} is a typographic quote", quoted(&first.to_string())), Some("write ' or \""))
            }
            _ => (format!("{} has no meaning here", quoted(&first.to_string())), None),
        };
        self.problem(at, message, hint);
        false
    }

    /// Keeps count of brackets, and of signs in a row, which nest as well.
    fn brackets(&mut self, symbol: &str, at: usize) -> bool {
        match symbol {
            "(" | "[" => self.open.push(at),
            ")" | "]" => {
                let wanted = if symbol == ")" { "(" } else { "[" };
                let opened = self.open.pop().and_then(|open| self.text.get(open..=open));
                if opened != Some(wanted) {
                    self.problem(at, format!("this {symbol} closes nothing"), None);
                    return false;
                }
            }
            _ => {}
        }
        let signs = self.tokens.iter().rev().take_while(|token| matches!(token.text, "!" | "-")).count();
        if DEPTH_MAX < self.open.len() || DEPTH_MAX < signs {
            self.problem(at, format!("nests deeper than {DEPTH_MAX} levels"), None);
            return false;
        }
        true
    }
}
