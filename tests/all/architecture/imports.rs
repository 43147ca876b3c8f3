//! Reads Rust source just far enough to know what it imports, which modules it declares, and where its tests are.
//!
//! No compiler: comments, strings and test code are left out, paths are followed from `use`, `crate::`, `self::` and
//! `super::`. Knows no map and no file system.

/// One file, as far as the rules ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    /// Where it lies below `src/` or `tests/all/`, with `/`.
    pub(super) file: String,
    /// Its text.
    pub(super) text: String,
    /// Its tokens without those of test code.
    pub(super) tokens: Vec<Token>,
    /// The modules that it declares and that lie in files of their own.
    pub(super) children: Vec<Child>,
    /// How many of its lines are test code.
    pub(super) test_lines: usize,
    /// Whether all of it is, because of how another file declares it.
    pub(super) is_test: bool,
}

/// `mod name;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) is_test: bool,
}

/// A path that leads somewhere else in the crate, from the crate's root on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
}

/// A word or a sign, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) text: String,
}

impl Source {
    pub(super) fn read(file: &str, text: &str) -> Self {
        let mut source = Self { file: file.to_owned(), text: text.to_owned(), ..Self::default() };
        let tokens = tokens(text);
        let mut at = 0;
        while at < tokens.len() {
            let is_test = match attribute(&tokens, at) {
                None => false,
                Some(end) => {
                    let inner: Vec<&str> = tokens[at..end].iter().map(|token| token.text.as_str()).collect();
                    let is_test =
                        inner.contains(&"cfg") && inner.contains(&"test") && !inner.contains(&"not");
                    if !is_test {
                        source.tokens.extend_from_slice(&tokens[at..end]);
                        at = end;
                        continue;
                    }
                    true
                }
            };
            if is_test {
                let end = item_end(&tokens, at);
                let first = tokens[at].line;
                let last = tokens.get(end.saturating_sub(1)).map_or(first, |token| token.line);
                source.test_lines += last + 1 - first;
                if let Some(name) = declared(&tokens[at..end]) {
                    source.children.push(Child { name, is_test: true });
                }
                at = end;
            } else {
                source.tokens.push(tokens[at].clone());
                at += 1;
            }
        }
        for (at, token) in source.tokens.iter().enumerate() {
            if token.text == "mod" && source.tokens.get(at + 2).is_some_and(|it| it.text == ";") {
                let name = source.tokens[at + 1].text.clone();
                source.children.push(Child { name, is_test: false });
            }
        }
        source
    }

    /// The module that the file is: `[]` for the root of the crate, `["disk", "root"]` for `disk/root.rs`.
    pub(super) fn module(&self) -> Vec<String> {
        let path = self.file.trim_end_matches(".rs").trim_end_matches("/mod");
        match path {
            "lib" | "main" => Vec::new(),
            path => path.split('/').map(str::to_owned).collect(),
        }
    }

    /// Everything outside of test code that is named by a path through the crate, `self` or `super`.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut found = Vec::new();
        let mut module = self.module();
        // How deep in braces each inline module began.
        let mut inline = Vec::new();
        let mut depth = 0_usize;
        let mut at = 0;
        while at < self.tokens.len() {
            match self.word(at) {
                "use" => {
                    at = self.tree(at + 1, &[], &module, &mut found);
                    continue;
                }
                "mod" if self.word(at + 2) == "{" => {
                    module.push(self.word(at + 1).to_owned());
                    inline.push(depth);
                    depth += 1;
                    at += 3;
                    continue;
                }
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        module.pop();
                    }
                }
                "crate" | "super" | "self" | "versync"
                    if self.word(at + 1) == "::" && (at == 0 || self.word(at - 1) != "::") =>
                {
                    let line = self.tokens[at].line;
                    let mut path = vec![self.word(at).to_owned()];
                    while self.word(at + 1) == "::" && is_name(self.word(at + 2)) {
                        path.push(self.word(at + 2).to_owned());
                        at += 2;
                    }
                    found.extend(resolve(&path, &module).map(|path| Import { line, path }));
                }
                _ => {}
            }
            at += 1;
        }
        found
    }

    /// The crates from outside that are named anywhere outside of test code, with the line of each mention.
    pub(super) fn mentions(&self, name: &str) -> Vec<usize> {
        let mut lines = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let begins = at == 0 || !matches!(self.word(at - 1), "::" | ".");
            let leads = matches!(self.word(at + 1), "::") || (at > 0 && self.word(at - 1) == "use");
            if token.text == name && begins && leads {
                lines.push(token.line);
            }
        }
        lines
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    /// One branch of a `use`, from its first token; returns where the next one begins.
    fn tree(&self, mut at: usize, prefix: &[String], module: &[String], found: &mut Vec<Import>) -> usize {
        let mut path = prefix.to_vec();
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        loop {
            match self.word(at) {
                "" | ";" | "," | "}" => {
                    found.extend(resolve(&path, module).map(|path| Import { line, path }));
                    return if self.word(at) == ";" { at + 1 } else { at };
                }
                "{" => {
                    at += 1;
                    while !matches!(self.word(at), "}" | "") {
                        at = self.tree(at, &path, module, found);
                        if self.word(at) == "," {
                            at += 1;
                        }
                    }
                    return at + 1;
                }
                "as" => at += 2,
                "::" => at += 1,
                word => {
                    path.push(word.to_owned());
                    at += 1;
                }
            }
        }
    }
}

/// From the root of the crate on; none for what leads out of the crate or to a child by its bare name.
fn resolve(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let mut whole = match path.first()?.as_str() {
        "crate" | "versync" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    for word in path {
        match word.as_str() {
            "crate" | "versync" | "self" => {}
            "super" => {
                whole.pop();
            }
            name => whole.push(name.to_owned()),
        }
    }
    Some(whole)
}

fn is_name(word: &str) -> bool {
    word.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
}

/// The end of the attribute that begins here, if one does.
fn attribute(tokens: &[Token], at: usize) -> Option<usize> {
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
    let open = if is(at + 1, "!") { at + 2 } else { at + 1 };
    if !is(at, "#") || !is(open, "[") {
        return None;
    }
    let mut depth = 0_usize;
    for (end, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" if depth == 1 => return Some(end + 1),
            "]" => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The end of the item whose attributes begin here.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while let Some(end) = attribute(tokens, at) {
        at = end;
    }
    let is_use = tokens.get(at).is_some_and(|token| token.text == "use");
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && !is_use {
                    return at;
                }
            }
            ";" if depth == 0 => return at,
            _ => {}
        }
    }
    at
}

/// The name of the module that these tokens declare, if it lies in a file of its own.
fn declared(tokens: &[Token]) -> Option<String> {
    let at = tokens.iter().position(|token| token.text == "mod")?;
    (tokens.get(at + 2)?.text == ";").then(|| tokens[at + 1].text.clone())
}

/// Words and signs; comments, strings, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token> {
    let bytes: Vec<char> = text.chars().collect();
    let is = |at: usize, sign: char| bytes.get(at) == Some(&sign);
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let begin = at;
        let sign = bytes[at];
        if sign == '/' && is(at + 1, '/') {
            at += bytes[at..].iter().take_while(|sign| **sign != '\n').count();
        } else if sign == '/' && is(at + 1, '*') {
            let mut depth = 0_usize;
            while at < bytes.len() {
                if is(at, '/') && is(at + 1, '*') {
                    depth += 1;
                    at += 2;
                } else if is(at, '*') && is(at + 1, '/') {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        break;
                    }
                } else {
                    at += 1;
                }
            }
        } else if let Some(end) = raw_string(&bytes, at) {
            at = end;
        } else if sign == '"' {
            at = quoted(&bytes, at, '"');
        } else if sign == '\'' {
            let is_character = is(at + 1, '\\') || is(at + 2, '\'');
            at = if is_character { quoted(&bytes, at, '\'') } else { at + 1 + name(&bytes, at + 1) };
        } else if sign.is_alphanumeric() || sign == '_' {
            at += name(&bytes, at);
            tokens.push(Token { line, text: bytes[begin..at].iter().collect() });
        } else if sign == ':' && is(at + 1, ':') {
            at += 2;
            tokens.push(Token { line, text: "::".to_owned() });
        } else {
            at += 1;
            if !sign.is_whitespace() {
                tokens.push(Token { line, text: sign.to_string() });
            }
        }
        line += bytes[begin..at.min(bytes.len())].iter().filter(|sign| **sign == '\n').count();
    }
    tokens
}

/// How long the name is that begins here.
fn name(text: &[char], at: usize) -> usize {
    text.get(at..)
        .unwrap_or_default()
        .iter()
        .take_while(|sign| sign.is_alphanumeric() || **sign == '_')
        .count()
}

/// The end of a string or character that begins here, by its closing quote.
fn quoted(text: &[char], at: usize, quote: char) -> usize {
    let mut end = at + 1;
    while let Some(sign) = text.get(end) {
        end += if *sign == '\\' { 2 } else { 1 };
        if *sign == quote {
            break;
        }
    }
    end
}

/// The end of the raw string that begins here, if one does.
fn raw_string(text: &[char], at: usize) -> Option<usize> {
    if at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_') {
        return None;
    }
    let prefix = text[at..].iter().take_while(|sign| matches!(sign, 'b' | 'c' | 'r')).count();
    if prefix == 0 || prefix > 2 || text[at + prefix - 1] != 'r' {
        return None;
    }
    let hashes = text[at + prefix..].iter().take_while(|sign| **sign == '#').count();
    let open = at + prefix + hashes;
    if text.get(open) != Some(&'"') {
        return None;
    }
    let mut end = open + 1;
    while end < text.len() {
        let closes =
            text[end] == '"' && text[end + 1..].iter().take_while(|sign| **sign == '#').count() >= hashes;
        end += 1;
        if closes {
            return Some(end + hashes);
        }
    }
    Some(end)
}

mod tests {
    use super::*;

    fn imports(file: &str, text: &str) -> Vec<String> {
        Source::read(file, text).imports().into_iter().map(|import| import.path.join("::")).collect()
    }

    #[test]
    fn every_branch_of_a_use_is_followed() {
        let text = "use crate::{disk, ledger::{self, row::Row as R}, file::*};\nuse std::fs;";
        assert_eq!(imports("deed.rs", text), ["disk", "ledger", "ledger::row::Row", "file::*"]);
    }

    #[test]
    fn super_is_followed_to_where_it_leads() {
        assert_eq!(
            imports("delivery/look.rs", "use super::Desk; use super::super::cloud;"),
            ["delivery::Desk", "cloud"]
        );
        assert_eq!(imports("disk/mod.rs", "use super::ledger;"), ["ledger"]);
    }

    #[test]
    fn a_path_in_the_middle_of_code_counts() {
        assert_eq!(
            imports("deed.rs", "fn f(e: crate::ledger::Error) { super::cloud::ask(\"x\") }"),
            ["ledger::Error", "cloud::ask"]
        );
    }

    #[test]
    fn an_inline_module_is_one_floor_deeper() {
        let text = "mod inner { use super::x; use super::super::y; } use super::z;";
        assert_eq!(imports("disk.rs", text), ["disk::x", "y", "z"]);
    }

    #[test]
    fn comments_strings_and_lifetimes_say_nothing() {
        let text = "// use crate::a;\n/* crate::b /* crate::c */ */ const S: &'static str = \"crate::d \\\" crate::e\";\
            const R: &str = r#\"crate::f \" crate::g\"#; const C: char = '\"'; use crate::h;";
        assert_eq!(imports("disk.rs", text), ["h"]);
    }

    #[test]
    fn tests_may_import_what_they_like_and_do_not_count_as_length() {
        let text = "use crate::file;\n#[cfg(test)]\nuse crate::{cloud, disk};\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests {\n    use crate::emulator;\n    fn f() {}\n}\nuse crate::id;\n#[cfg(test)]\nmod lives;\nmod real;\n";
        let source = Source::read("plan.rs", text);
        assert_eq!(imports("plan.rs", text), ["file", "id"]);
        assert_eq!(source.test_lines, 2 + 6 + 2);
        assert_eq!(
            source.children,
            [
                Child { name: "lives".to_owned(), is_test: true },
                Child { name: "real".to_owned(), is_test: false }
            ]
        );
    }

    #[test]
    fn code_for_everything_but_tests_is_no_test() {
        assert_eq!(imports("plan.rs", "#[cfg(not(test))] use crate::cloud;"), ["cloud"]);
    }

    #[test]
    fn the_line_of_an_import_is_told() {
        let import = &Source::read("a.rs", "\n\"two\nlines\";\n\nuse crate::b;").imports()[0];
        assert_eq!(import.line, 5);
    }

    #[test]
    fn a_crate_is_found_where_it_is_named_and_not_where_a_word_looks_like_it() {
        let source =
            Source::read("a.rs", "use tokio::time;\nfn f(x: ignore::Walk) { y.ignore(); b::tokio::c() }");
        assert_eq!((source.mentions("tokio"), source.mentions("ignore")), (vec![1], vec![2]));
    }
}
