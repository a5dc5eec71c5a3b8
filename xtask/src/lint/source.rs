//! Which paths a Rust source names: `use` trees, expressions, types, attributes, macro bodies.
//! Comments and strings are not code and name nothing.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as the compiler would resolve its first segment: `self` and `super` are replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) segments: Vec<String>,
    /// From 1.
    pub(super) line: usize,
    /// In a module called `tests`, or below one.
    pub(super) in_test: bool,
}

/// What a source names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) paths: Vec<Named>,
    /// Called methods, `.name(`, as paths of one segment.
    pub(super) methods: Vec<Named>,
}

/// Reads `source`, the file of the module `module` (`["crate", "account", "book"]`).
///
/// # Errors
/// The source is no Rust: line and reason.
pub(super) fn names(source: &str, module: &[String]) -> Result<Names, (usize, String)> {
    let tokens = TokenStream::from_str(source)
        .map_err(|error| (error.span().start().line, error.to_string()))?;
    let mut names = Names::default();
    Reader {
        names: &mut names,
        module: module.to_vec(),
    }
    .read(tokens);
    Ok(names)
}

/// The module of a file in a crate's `src` folder: `account/book.rs` is `crate::account::book`.
pub(super) fn module_of(file_in_src: &str) -> Vec<String> {
    let stem = file_in_src.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    let inside = match stem {
        "lib" | "main" => "",
        other => other,
    };
    let parts = inside.split('/').filter(|part| !part.is_empty());
    ["crate"]
        .into_iter()
        .chain(parts)
        .map(str::to_owned)
        .collect()
}

struct Reader<'a> {
    names: &'a mut Names,
    module: Vec<String>,
}

impl Reader<'_> {
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at += self.read_one(
                &tokens[at..],
                at.checked_sub(1).map(|before| &tokens[before]),
            );
        }
    }

    /// Takes what starts here and says how many tokens that were.
    fn read_one(&mut self, tokens: &[TokenTree], before: Option<&TokenTree>) -> usize {
        match tokens {
            [TokenTree::Group(group), ..] => {
                self.read(group.stream());
                1
            }
            [
                TokenTree::Ident(word),
                TokenTree::Ident(name),
                TokenTree::Group(body),
                ..,
            ] if word == "mod" && body.delimiter() == Delimiter::Brace => {
                self.read_inline_module(&name.to_string(), body.stream());
                3
            }
            [TokenTree::Ident(word), ..] if word == "use" => {
                let end = tokens.iter().position(|token| is_punct(token, ';'));
                let end = end.unwrap_or(tokens.len());
                self.read_use(&[], &tokens[1..end]);
                end
            }
            [
                TokenTree::Ident(word),
                TokenTree::Ident(called),
                TokenTree::Ident(name),
                ..,
            ] if word == "extern" && called == "crate" => {
                self.add(vec![name.to_string()], name.span().start().line);
                3
            }
            [TokenTree::Ident(method), TokenTree::Group(arguments), ..]
                if before.is_some_and(|token| is_punct(token, '.'))
                    && arguments.delimiter() == Delimiter::Parenthesis =>
            {
                let called = self.named(vec![method.to_string()], method.span().start().line);
                self.names.methods.push(called);
                1
            }
            [TokenTree::Ident(first), ..] => {
                let segments = path_at(tokens);
                let taken = segments.len() * 3 - 2;
                if segments.len() > 1 {
                    self.add(segments, first.span().start().line);
                }
                taken
            }
            _ => 1,
        }
    }

    fn read_inline_module(&mut self, name: &str, body: TokenStream) {
        self.module.push(name.to_owned());
        self.read(body);
        self.module.pop();
    }

    /// One tree of a `use`: a path that ends in a name, in `*`, or in `{…}` with trees.
    fn read_use(&mut self, prefix: &[String], tokens: &[TokenTree]) {
        let tokens = without_leading_colons(tokens);
        let Some(first) = tokens.first() else { return };
        let line = first.span().start().line;
        let mut path = prefix.to_vec();
        path.extend(path_at(tokens));
        let group = tokens.iter().find_map(|token| match token {
            TokenTree::Group(group) => Some(group),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
        });
        let Some(group) = group else {
            return self.add(path, line);
        };
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        for tree in inner.split(|token| is_punct(token, ',')) {
            self.read_use(&path, tree);
        }
    }

    fn add(&mut self, segments: Vec<String>, line: usize) {
        let named = self.named(resolve(&self.module, segments), line);
        self.names.paths.push(named);
    }

    fn named(&self, segments: Vec<String>, line: usize) -> Named {
        let in_test = self.module.iter().any(|module| module == "tests");
        Named {
            segments,
            line,
            in_test,
        }
    }
}

/// `a::b::c` at the start of `tokens`, as far as it goes.
fn path_at(tokens: &[TokenTree]) -> Vec<String> {
    let mut segments = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(segment), after @ ..] = rest {
        segments.push(segment.to_string());
        match after {
            [first, second, after @ ..] if is_punct(first, ':') && is_punct(second, ':') => {
                rest = after;
            }
            _ => break,
        }
    }
    segments
}

fn without_leading_colons(tokens: &[TokenTree]) -> &[TokenTree] {
    match tokens {
        [first, second, rest @ ..] if is_punct(first, ':') && is_punct(second, ':') => rest,
        _ => tokens,
    }
}

fn resolve(module: &[String], segments: Vec<String>) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = segments.as_slice();
    if rest
        .first()
        .is_none_or(|first| first != "self" && first != "super")
    {
        return segments;
    }
    while let [first, after @ ..] = rest {
        match first.as_str() {
            "self" => {}
            "super" => drop(base.pop()),
            _ => break,
        }
        rest = after;
    }
    base.extend_from_slice(rest);
    base
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        let module = module_of("account/book.rs");
        let names = names(source, &module).unwrap();
        names
            .paths
            .into_iter()
            .map(|named| named.segments.join("::"))
            .collect()
    }

    #[test]
    fn use_trees_are_spelt_out() {
        assert_eq!(
            paths("use a::{b::{self, C}, d as e, f::*};"),
            ["a::b::self", "a::b::C", "a::d", "a::f"]
        );
        assert_eq!(paths("pub use ::aya;"), ["aya"]);
        assert_eq!(paths("use {aya::Ebpf, std::fs};"), ["aya::Ebpf", "std::fs"]);
    }

    #[test]
    fn self_and_super_are_replaced_inline_modules_included() {
        assert_eq!(paths("use super::super::kernel::X;"), ["crate::kernel::X"]);
        assert_eq!(
            paths("use self::page::P;"),
            ["crate::account::book::page::P"]
        );
        assert_eq!(
            paths("mod tests { use super::*; }"),
            ["crate::account::book"]
        );
        assert_eq!(
            paths("mod t { mod u { use super::super::super::ledger; } }"),
            ["crate::account::ledger"]
        );
    }

    #[test]
    fn paths_are_found_wherever_code_stands() {
        assert_eq!(
            paths("fn f() -> Vec<aya::Ebpf> { g::<kube::Client>() }"),
            ["aya::Ebpf", "kube::Client"]
        );
        assert_eq!(paths("#[tokio::test] fn f() {}"), ["tokio::test"]);
        assert_eq!(
            paths("fn f() { log!(\"{}\", libc::getpid()) }"),
            ["libc::getpid"]
        );
        assert_eq!(paths("extern crate aya;"), ["aya"]);
    }

    #[test]
    fn comments_and_strings_name_nothing() {
        assert!(
            paths("// use aya::Ebpf;\n/* kube::x */ const A: &str = r#\"std::fs::read\"#;")
                .is_empty()
        );
    }

    #[test]
    fn lines_and_methods_are_told() {
        let names = names("\n\nfn f() { started.elapsed(); }", &[]).unwrap();
        let elapsed = Named {
            segments: vec!["elapsed".to_owned()],
            line: 3,
            in_test: false,
        };
        assert_eq!(names.methods, [elapsed]);
        let error = super::names("fn f() {\n  (\n", &[]).unwrap_err();
        assert!(error.0 >= 1, "{error:?}");
    }

    #[test]
    fn test_code_is_told_from_the_rest() {
        let in_test = |file: &str, source: &str| {
            names(source, &module_of(file))
                .unwrap()
                .paths
                .into_iter()
                .map(|n| n.in_test)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            in_test("a.rs", "use b::c; mod tests { use b::c; } use b::d;"),
            [false, true, false]
        );
        assert_eq!(in_test("a/tests/scenario.rs", "use b::c;"), [true]);
    }

    #[test]
    fn a_file_tells_its_module() {
        assert_eq!(module_of("lib.rs"), ["crate"]);
        assert_eq!(module_of("kernel.rs"), ["crate", "kernel"]);
        assert_eq!(module_of("kernel/mod.rs"), ["crate", "kernel"]);
        assert_eq!(
            module_of("kernel/drain/batch.rs"),
            ["crate", "kernel", "drain", "batch"]
        );
    }
}
