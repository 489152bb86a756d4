//! Where inside the file a character of a scalar stands: a scalar may be quoted, escaped, folded or a block.

use super::fault::Pos;

/// The text of the file, and where its lines begin.
#[derive(Default)]
pub(super) struct Source {
    text: Box<str>,
    /// In bytes. Lines end with LF, CR LF or CR.
    lines: Vec<usize>,
}

impl Source {
    pub(super) fn of(text: &str) -> Source {
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        let breaks = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        lines.extend(breaks.map(|(at, _)| at + 1));
        Source { text: text.into(), lines }
    }

    /// The place of the character at byte `offset` of `content`, which is the text of the scalar that begins at
    /// `start`. White space is looked past on both sides, for folding changes it; an offset into white space gives
    /// what follows it. The start itself when the two do not agree.
    pub(super) fn place(&self, start: Pos, content: &str, offset: usize) -> Pos {
        self.find(start, content, offset).unwrap_or(start)
    }

    fn find(&self, start: Pos, content: &str, offset: usize) -> Option<Pos> {
        let line_at = *self.lines.get((start.line as usize).checked_sub(1)?)?;
        let mut rest = self.text.get(line_at..)?.chars();
        (1..start.column).try_for_each(|_| rest.next().map(|_| ()))?;
        let mut cursor = Cursor { rest: rest.as_str(), line: start.line, column: start.column };
        let style = match cursor.peek()? {
            quote @ ('"' | '\'') => {
                cursor.next();
                Some(quote)
            }
            '|' | '>' => {
                while cursor.peek().is_some_and(|c| c != '\n' && c != '\r') {
                    cursor.next();
                }
                None
            }
            _ => None,
        };
        let wanted = content.get(..offset)?.chars().filter(|c| !c.is_whitespace()).count();
        for _ in 0..wanted {
            cursor.skip_blank(style);
            cursor.skip_one(style)?;
        }
        cursor.skip_blank(style);
        Some(Pos { line: cursor.line, column: cursor.column })
    }
}

struct Cursor<'s> {
    rest: &'s str,
    line: u32,
    column: u32,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        match next {
            '\r' if self.peek() == Some('\n') => {}
            '\n' | '\r' => {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            }
            _ => self.column = self.column.saturating_add(1),
        }
        Some(next)
    }

    fn skip_white(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// White space, and what stands for it in a quoted scalar.
    fn skip_blank(&mut self, quote: Option<char>) {
        self.skip_white();
        while quote == Some('"') {
            let mut ahead = self.rest.chars();
            let escaped = ahead.next() == Some('\\')
                && ahead.next().is_some_and(|c| {
                    matches!(c, 'n' | 't' | 'r' | ' ' | '\t' | 'v' | 'f' | '_' | 'N' | 'L' | 'P' | '\n' | '\r')
                });
            if !escaped {
                return;
            }
            self.next();
            self.next();
            self.skip_white();
        }
    }

    /// What stands for one character that is not white space.
    fn skip_one(&mut self, quote: Option<char>) -> Option<()> {
        let first = self.next()?;
        match (quote, first) {
            (Some('\''), '\'') => {
                self.next();
            }
            (Some('"'), '\\') => {
                let digits = match self.next()? {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    // An escape that stands for white space: none of it is in the content that is counted.
                    'n' | 't' | 'r' | ' ' | '\t' | 'v' | 'f' | '_' | 'N' | 'L' | 'P' => {
                        self.skip_white();
                        return self.skip_one(quote);
                    }
                    // A break that the escape takes out.
                    '\n' | '\r' => {
                        self.skip_white();
                        return self.skip_one(quote);
                    }
                    _ => 0,
                };
                (0..digits).try_for_each(|_| self.next().map(|_| ()))?;
            }
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_found_however_its_scalar_is_written() {
        // the text from its first character on, with the scalar's content, and what is looked for
        for (text, content, sought, line, column) in [
            ("a == 1", "a == 1", "1", 1, 6),
            ("'a == ''x'''", "a == 'x'", "x", 1, 9),
            ("\"a == \\\"x\\\" && b\"", "a == \"x\" && b", "b", 1, 16),
            ("\"\\u0061 == b\"", "a == b", "b", 1, 12),
            ("\"a ==\\n b\"", "a ==\n b", "b", 1, 9),
            ("\"a ==\\\n  b\"", "a ==b", "b", 2, 3),
            ("a ==\n  b\n  && c", "a == b && c", "c", 3, 6),
            ("|\n  a ==\n    b\n", "a ==\n  b\n", "b", 2 + 1, 5),
            (">- # folded\n  a\n  == b\n", "a == b", "b", 3, 6),
            ("|\r\n  a ==\r\n  b\r\n", "a ==\nb\n", "b", 3, 3),
            ("'é == b'", "é == b", "b", 1, 7),
        ] {
            let start = Pos { line: 1, column: 1 };
            let offset = content.find(sought).expect("it is there");
            assert_eq!(Source::of(text).place(start, content, offset), Pos { line, column }, "{text:?}");
        }
        // Content that is not the scalar's, and a place outside of the text.
        let source = Source::of("ab");
        assert_eq!(source.place(Pos { line: 1, column: 1 }, "abcdef", 5), Pos { line: 1, column: 1 });
        assert_eq!(source.place(Pos { line: 7, column: 1 }, "ab", 1), Pos { line: 7, column: 1 });
    }
}
