//! What people may ask of the database in SQL: one statement that reads.
//!
//! This gives the clear messages. What enforces it stands behind: a connection
//! that can only read, and a server that takes one statement at a time.

/// Statements that read, by their first word.
const READING: [&str; 3] = ["SELECT", "WITH", "VALUES"];

/// The one statement of a text, without the semicolon that ends it.
pub(crate) fn single_reading(text: &str) -> Result<&str, String> {
    if text.contains('\0') {
        return Err("it holds a NUL character".to_owned());
    }
    let mut scanner = Scanner { text, at: 0 };
    scanner.skip_blank()?;
    let first = scanner.word().to_ascii_uppercase();
    if first.is_empty() {
        return Err("it has no statement; begin with SELECT".to_owned());
    }
    if !READING.contains(&first.as_str()) {
        return Err(format!(
            "it begins with {first:?}, and only reading is allowed; begin with SELECT, WITH or \
             VALUES"
        ));
    }
    let end = scanner.statement_end()?;
    let statement = &text[..end];
    scanner.skip_blank()?;
    while scanner.rest().starts_with(';') {
        scanner.at += 1;
        scanner.skip_blank()?;
    }
    match scanner.rest() {
        "" => Ok(statement),
        _ => Err("it has more than one statement; ask one at a time".to_owned()),
    }
}

/// Walks over SQL: quotes and comments are passed over whole.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Passes the word that begins here, if one does.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Passes spaces and comments.
    fn skip_blank(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.comment()? {
                return Ok(());
            }
        }
    }

    /// Passes a comment, if one begins here. Those of PostgreSQL nest; one that
    /// is closed early by SQLite's rule is followed by what neither can read.
    fn comment(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        if rest.starts_with("--") {
            self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            return Ok(true);
        }
        if let Some(inside) = rest.strip_prefix("/*") {
            let end = inside.find("*/").ok_or("it has a comment that is not closed")?;
            self.at += end + 4;
            return Ok(true);
        }
        Ok(false)
    }

    /// Passes the rest of the statement, and gives where it ends.
    fn statement_end(&mut self) -> Result<usize, String> {
        while let Some(c) = self.rest().chars().next() {
            match c {
                ';' => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(end);
                }
                '\'' => self.quoted('\'', self.is_escaping())?,
                '"' | '`' => self.quoted(c, false)?,
                '$' => self.dollar()?,
                _ if self.comment()? => {}
                _ => self.at += c.len_utf8(),
            }
        }
        Ok(self.at)
    }

    /// Whether the quote here is one of PostgreSQL's `E'…'`.
    fn is_escaping(&self) -> bool {
        let mut before = self.text[..self.at].chars().rev();
        matches!(before.next(), Some('e' | 'E')) && !before.next().is_some_and(is_word)
    }

    /// Passes a quoted text. A doubled quote within is read as two texts that
    /// touch, which comes to the same.
    fn quoted(&mut self, quote: char, escaping: bool) -> Result<(), String> {
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if escaping && c == '\\' {
                chars.next();
            } else if c == quote {
                self.at += at + c.len_utf8();
                return Ok(());
            }
        }
        Err(format!("it has a quote {quote} that is not closed"))
    }

    /// Passes one of PostgreSQL's `$tag$…$tag$`, or only the sign.
    fn dollar(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let tag = rest[1..].find('$').map(|end| &rest[..end + 2]);
        let inside_word = self.text[..self.at].chars().next_back().is_some_and(is_word);
        match tag {
            Some(tag)
                if !inside_word
                    && tag[1..tag.len() - 1].chars().all(is_word)
                    && !tag[1..].starts_with(|c: char| c.is_ascii_digit()) =>
            {
                let body = &rest[tag.len()..];
                let end = body.find(tag).ok_or("it has a $ quote that is not closed")?;
                self.at += 2 * tag.len() + end;
            }
            _ => self.at += 1,
        }
        Ok(())
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_statement_is_taken() {
        for text in [
            "SELECT 1",
            "  select 1 ; ",
            "-- why\nSELECT ';', \"a;b\", `c;d` /* ; */ ;; -- end",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "VALUES (1), (2)",
            "SELECT $$a;b$$, $t$c;$d;$t$ || 'it''s;'",
            r"SELECT E'a\';b'",
            "SELECT 'a\\' WHERE 1 = 1",
            "SELECT $1; ",
        ] {
            let taken = single_reading(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert!(text.contains(taken) && !taken.trim_end().ends_with(';'), "{taken}");
        }
    }

    #[test]
    fn all_else_is_refused() {
        for (text, why) in [
            ("", "no statement"),
            (" -- nothing", "no statement"),
            ("INSERT INTO runs VALUES (1)", "only reading"),
            ("/* SELECT */ delete from runs", "only reading"),
            ("ATTACH 'x' AS y", "only reading"),
            ("PRAGMA query_only = OFF", "only reading"),
            ("COMMIT", "only reading"),
            ("SELECT 1; DELETE FROM runs", "more than one"),
            ("SELECT 1;; -- a\nSELECT 2", "more than one"),
            ("SELECT 'a\\'; DELETE FROM runs --'", "more than one"),
            ("SELECT 'open", "not closed"),
            ("SELECT 1 /* open", "not closed"),
            ("SELECT $q$open", "not closed"),
            ("SELECT 1\0", "NUL"),
        ] {
            let refused = single_reading(text).expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
