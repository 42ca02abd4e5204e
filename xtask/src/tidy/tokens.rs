//! What a Rust file mentions: paths, functions, macros and modules, taken from its tokens, so that neither comments nor strings count.

use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A path such as `crate::edge::Session`, with groups of a `use` written out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    /// Line of the last segment.
    pub(crate) line: usize,
    /// Names of the inline modules around it.
    pub(crate) inside: Vec<String>,
    /// The segments in order.
    pub(crate) segments: Vec<String>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Line of the word `fn`.
    pub(crate) first_line: usize,
    /// Line of the closing brace.
    pub(crate) last_line: usize,
}

/// A name and the line where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The name.
    pub(crate) name: String,
    /// The line.
    pub(crate) line: usize,
}

/// All that was found in one file.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Every path, single names included.
    pub(crate) paths: Vec<PathUse>,
    /// Every function that has a body.
    pub(crate) functions: Vec<Function>,
    /// Every macro that is called.
    pub(crate) macros: Vec<Named>,
    /// Every `mod` item.
    pub(crate) modules: Vec<Named>,
}

/// Reads a file's tokens; the error is the line at which they stop making sense.
pub(crate) fn scan(text: &str) -> Result<Scan, usize> {
    let stream = TokenStream::from_str(text).map_err(|error| error.span().start().line.max(1))?;
    let mut scan = Scan::default();
    walk(stream, &mut Vec::new(), &mut scan);
    Ok(scan)
}

/// Walks one level of tokens and the groups in it.
fn walk(stream: TokenStream, inside: &mut Vec<String>, scan: &mut Scan) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Ident(ident) => {
                note_items(ident, &tokens, at, scan);
                at = path(&tokens, at, &[], inside, scan);
            }
            TokenTree::Group(group) => {
                let module = module_name(&tokens, at, group);
                let deeper = module.is_some();
                inside.extend(module);
                walk(group.stream(), inside, scan);
                if deeper {
                    inside.pop();
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Notes the function, module or macro call that begins with this word.
fn note_items(ident: &Ident, tokens: &[TokenTree], at: usize, scan: &mut Scan) {
    let line = ident.span().start().line;
    match tokens.get(at + 1) {
        Some(TokenTree::Ident(name)) if ident == "fn" => {
            let rest = tokens.iter().skip(at + 2).take_while(|token| !is_punct(Some(token), ';'));
            let body = rest.filter_map(braces).next();
            scan.functions.extend(body.map(|body| Function {
                name: name.to_string(),
                first_line: line,
                last_line: body.span_close().end().line,
            }));
        }
        Some(TokenTree::Ident(name)) if ident == "mod" => {
            scan.modules.push(Named { name: name.to_string(), line });
        }
        next if is_punct(next, '!') && matches!(tokens.get(at + 2), Some(TokenTree::Group(_))) => {
            scan.macros.push(Named { name: ident.to_string(), line });
        }
        _ => {}
    }
}

/// Takes the path that begins at `at`, with `prefix` before it; returns where to go on.
fn path(tokens: &[TokenTree], mut at: usize, prefix: &[String], inside: &[String], scan: &mut Scan) -> usize {
    let mut segments = prefix.to_vec();
    let mut line = 0;
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        segments.push(ident.to_string());
        line = ident.span().start().line;
        at += 1;
        if !(is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')) {
            break;
        }
        if let Some(group) = tokens.get(at + 2).and_then(braces) {
            use_group(group, &segments, inside, scan);
            return at + 3;
        }
        if !matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        at += 2;
    }
    scan.paths.push(PathUse { line, inside: inside.to_vec(), segments });
    at
}

/// Takes each path of a group in a `use`, such as `{edge::Session, ingest}`.
fn use_group(group: &Group, prefix: &[String], inside: &[String], scan: &mut Scan) {
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at = match token {
            TokenTree::Ident(ident) if ident == "as" => at + 2,
            TokenTree::Ident(_) => path(&tokens, at, prefix, inside, scan),
            _ => at + 1,
        };
    }
}

/// The name of the inline module whose body this group is.
fn module_name(tokens: &[TokenTree], at: usize, group: &Group) -> Option<String> {
    let name = match tokens.get(at.checked_sub(1)?) {
        Some(TokenTree::Ident(name)) if group.delimiter() == Delimiter::Brace => name,
        _ => return None,
    };
    match tokens.get(at.checked_sub(2)?) {
        Some(TokenTree::Ident(word)) if word == "mod" => Some(name.to_string()),
        _ => None,
    }
}

fn braces(token: &TokenTree) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let scan = scan(text).expect("it lexes");
        scan.paths.iter().filter(|p| p.segments.len() > 1).map(|p| p.segments.join("::")).collect()
    }

    #[test]
    fn groups_of_a_use_are_written_out() {
        assert_eq!(
            paths("use crate::{edge::{self, Session as S}, ingest};\n"),
            ["crate::edge::self", "crate::edge::Session", "crate::ingest"]
        );
    }

    #[test]
    fn paths_inside_macros_count_and_strings_and_comments_do_not() {
        let text = "fn f() { select! { x = crate::edge::go() => {} } } // crate::relay::a\nconst A: &str = \"crate::b::c\";\n";
        assert_eq!(paths(text), ["crate::edge::go"]);
    }

    #[test]
    fn inline_modules_are_remembered() {
        let scan = scan("mod a { mod b { use super::x; } }\nuse super::y;\n").expect("it lexes");
        let found: Vec<_> = scan.paths.iter().filter(|p| p.segments[0] == "super").collect();
        assert_eq!(found[0].inside, ["a", "b"]);
        assert_eq!((found[1].inside.len(), found[1].line), (0, 2));
    }

    #[test]
    fn functions_have_their_lines() {
        let scan = scan("trait T { fn none(&self); }\nfn some(\n  f: fn(u8),\n) -> u8 {\n  1\n}\n")
            .expect("it lexes");
        assert_eq!(scan.functions, [Function { name: "some".to_owned(), first_line: 2, last_line: 6 }]);
    }

    #[test]
    fn calls_of_macros_are_found_and_inequality_is_none() {
        let scan = scan("fn f() { if a != (b) { go!(c); } }\n").expect("it lexes");
        assert_eq!(scan.macros, [Named { name: "go".to_owned(), line: 1 }]);
    }
}
