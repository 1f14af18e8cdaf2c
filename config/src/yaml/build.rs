//! From the parser's events to trees, within bounds.

use super::{Content, Key, MAX_DEPTH, MAX_NODES, Node, Span};
use crate::diagnostics::codes;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// What is wrong with a YAML text, and where.
#[derive(Debug, Clone)]
pub(crate) struct YamlError {
    pub code: &'static str,
    pub message: String,
    pub span: Span,
    pub help: Option<String>,
}

/// The documents of a text. Repeated keys are reported and the first one is kept; any other error ends the reading.
pub(crate) fn parse_documents(text: &str, text_index: usize) -> (Vec<Node>, Vec<YamlError>) {
    let mut builder = Builder {
        text_index,
        ..Builder::default()
    };
    // A byte-order mark is legal at the beginning, and the parser counts it as a character.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.event(event, builder.span(span)),
            Err(error) => Err(builder.scan_error(&error, text)),
        };
        if let Err(error) = step {
            builder.errors.push(error);
            break;
        }
    }
    (builder.documents, builder.errors)
}

/// A list or mapping whose end has not come yet.
struct Open {
    anchor: usize,
    span: Span,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    /// `seen` holds each key's line, so that a file of very many keys is still read in linear time.
    Map {
        entries: Vec<(Key, Node)>,
        key: Option<Key>,
        seen: HashMap<String, usize>,
    },
}

#[derive(Default)]
struct Builder {
    text_index: usize,
    documents: Vec<Node>,
    errors: Vec<YamlError>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Builder {
    fn span(&self, span: saphyr_parser::Span) -> Span {
        Span {
            text: self.text_index,
            line: span.start.line(),
            column: span.start.col(),
            end_line: span.end.line(),
            end_column: span.end.col(),
        }
    }

    fn scan_error(&self, error: &ScanError, text: &str) -> YamlError {
        let marker = error.marker();
        let mut span = Span {
            text: self.text_index,
            line: marker.line().max(1),
            column: marker.col(),
            end_line: marker.line().max(1),
            end_column: marker.col() + 1,
        };
        // An error at the end of the text is shown on the last line that has something on it.
        let lines: Vec<&str> = text.lines().collect();
        if span.line > lines.len()
            || (span.line == lines.len() && lines[span.line - 1].trim().is_empty())
        {
            let last = lines
                .iter()
                .rposition(|line| !line.trim().is_empty())
                .unwrap_or(0);
            let length = lines
                .get(last)
                .map_or(0, |line| line.trim_end().chars().count());
            span = Span {
                text: self.text_index,
                line: last + 1,
                column: length.saturating_sub(1),
                end_line: last + 1,
                end_column: length,
            };
        }
        let tab = lines.get(span.line - 1).is_some_and(|line| {
            line.chars()
                .take_while(|character| character.is_whitespace())
                .any(|character| character == '\t')
        });
        let help = if tab {
            "indent with spaces; YAML allows no tabs there"
        } else {
            "check indentation, quotes and brackets on this line and the one above"
        };
        YamlError {
            code: codes::SYNTAX,
            message: format!("this is not valid YAML: {}", error.info()),
            span,
            help: Some(help.to_owned()),
        }
    }

    fn refuse<T>(
        code: &'static str,
        message: impl Into<String>,
        span: Span,
    ) -> Result<T, YamlError> {
        Err(YamlError {
            code,
            message: message.into(),
            span,
            help: None,
        })
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                Ok(())
            }
            Event::DocumentEnd => {
                // Anchors end with their document.
                self.anchors.clear();
                Ok(())
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Self::refuse(
                        codes::SYNTAX,
                        "this alias is inside the value that it stands for",
                        span,
                    );
                };
                let (weight, height) = (node.weight, node.height);
                self.count(weight, span)?;
                if self.stack.len() + height > MAX_DEPTH {
                    return Self::refuse(
                        codes::LIMITS,
                        format!("values are nested more than {MAX_DEPTH} deep"),
                        span,
                    );
                }
                let node = self.anchors[&anchor].clone();
                self.push(node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, span)?;
                let plain = style == ScalarStyle::Plain;
                let plain = plain_by_tag(plain, tag.as_ref(), span)?;
                let node = Node::scalar(text, plain, span);
                self.remember(anchor, &node);
                self.push(node)
            }
            Event::SequenceStart(anchor, tag) => self.open(
                Open {
                    anchor,
                    span,
                    kind: OpenKind::List(Vec::new()),
                },
                tag.as_ref(),
            ),
            Event::MappingStart(anchor, tag) => {
                let kind = OpenKind::Map {
                    entries: Vec::new(),
                    key: None,
                    seen: HashMap::new(),
                };
                self.open(Open { anchor, span, kind }, tag.as_ref())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    fn count(&mut self, weight: usize, span: Span) -> Result<(), YamlError> {
        self.nodes += weight;
        if self.nodes > MAX_NODES {
            return Self::refuse(
                codes::LIMITS,
                format!("the file has more than {MAX_NODES} values, aliases counted each time"),
                span,
            );
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn open(&mut self, open: Open, tag: Option<&Cow<'_, Tag>>) -> Result<(), YamlError> {
        self.count(1, open.span)?;
        plain_by_tag(true, tag, open.span)?;
        if self.stack.len() >= MAX_DEPTH {
            return Self::refuse(
                codes::LIMITS,
                format!("values are nested more than {MAX_DEPTH} deep"),
                open.span,
            );
        }
        let is_key = matches!(
            self.stack.last(),
            Some(Open {
                kind: OpenKind::Map { key: None, .. },
                ..
            })
        );
        if is_key {
            return Self::refuse(
                codes::SYNTAX,
                "a list or mapping cannot be a key",
                open.span,
            );
        }
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let content = match open.kind {
            OpenKind::List(items) => Content::List(items),
            OpenKind::Map { entries, .. } => Content::Map(self.merge(entries)?),
        };
        let children: Box<dyn Iterator<Item = &Node>> = match &content {
            Content::Scalar { .. } => Box::new(std::iter::empty()),
            Content::List(items) => Box::new(items.iter()),
            Content::Map(entries) => Box::new(entries.iter().map(|(_, node)| node)),
        };
        let (weight, height) = children.fold((1, 1), |(weight, height), node| {
            (weight + node.weight, height.max(node.height + 1))
        });
        let node = Node {
            content,
            span: open.span,
            weight,
            height,
        };
        self.remember(open.anchor, &node);
        self.push(node)
    }

    /// Spreads `<<` keys out: their mappings' keys join this one, where it has none of that name.
    fn merge(&mut self, entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, YamlError> {
        if !entries.iter().any(|(key, _)| key.text == "<<") {
            return Ok(entries);
        }
        let (merges, mut result): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(key, _)| key.text == "<<");
        let mut present: HashSet<String> = result.iter().map(|(key, _)| key.text.clone()).collect();
        for (key, node) in merges {
            let sources = match node.content {
                Content::List(items) => items,
                content => vec![Node { content, ..node }],
            };
            for source in sources {
                let Content::Map(inherited) = source.content else {
                    return Self::refuse(
                        codes::SYNTAX,
                        "'<<' takes a mapping or a list of mappings",
                        key.span,
                    );
                };
                for (key, node) in inherited {
                    if present.insert(key.text.clone()) {
                        self.count(node.weight, key.span)?;
                        result.push((key, node));
                    }
                }
            }
        }
        Ok(result)
    }

    fn push(&mut self, node: Node) -> Result<(), YamlError> {
        match self.stack.last_mut() {
            None => self.documents.push(node),
            Some(Open {
                kind: OpenKind::List(items),
                ..
            }) => items.push(node),
            Some(Open {
                kind: OpenKind::Map { entries, key, seen },
                ..
            }) => match key.take() {
                Some(key) => match seen.get(&key.text) {
                    Some(line) => self.errors.push(YamlError {
                        code: codes::DUPLICATE_KEY,
                        message: format!("'{}' is set twice in the same mapping", key.text),
                        span: key.span,
                        help: Some(format!(
                            "remove one of the two; the first is on line {line}"
                        )),
                    }),
                    None => {
                        seen.insert(key.text.clone(), key.span.line);
                        entries.push((key, node));
                    }
                },
                None => match node.content {
                    Content::Scalar { text, .. } => {
                        *key = Some(Key {
                            text,
                            span: node.span,
                        })
                    }
                    _ => {
                        return Self::refuse(
                            codes::SYNTAX,
                            "a list or mapping cannot be a key",
                            node.span,
                        );
                    }
                },
            },
        }
        Ok(())
    }
}

/// Whether a value is still plain under its tag. Of tags, only those of YAML's core schema mean something here.
fn plain_by_tag(plain: bool, tag: Option<&Cow<'_, Tag>>, span: Span) -> Result<bool, YamlError> {
    let Some(tag) = tag else { return Ok(plain) };
    if !tag.is_yaml_core_schema() {
        return Builder::refuse(
            codes::SYNTAX,
            format!("the tag '{tag}' means nothing here"),
            span,
        );
    }
    match tag.suffix.as_str() {
        "str" => Ok(false),
        "null" | "bool" | "int" | "float" | "map" | "seq" => Ok(true),
        other => Builder::refuse(
            codes::SYNTAX,
            format!("the tag '!!{other}' means nothing here"),
            span,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_documents;
    use crate::{
        diagnostics::codes,
        yaml::{at, to_json},
    };
    use serde_json::json;

    fn only_code(text: &str) -> &'static str {
        let (_, errors) = parse_documents(text, 0);
        assert_eq!(errors.len(), 1, "{text:.80}: {errors:?}");
        errors[0].code
    }

    #[test]
    fn anchors_aliases_and_merges_are_spread_out() {
        let (documents, errors) =
            parse_documents("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nagain: *b\n", 0);
        assert!(errors.is_empty(), "{errors:?}");
        let seen = to_json(&documents[0]);
        assert_eq!(
            seen,
            json!({"base": {"x": 1, "y": 2}, "use": {"y": 3, "x": 1}, "again": {"x": 1, "y": 2}})
        );
    }

    #[test]
    fn several_documents_and_empty_ones() {
        let (documents, errors) = parse_documents("a: 1\n---\nb: 2\n---\n", 0);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(documents.len(), 3);
        assert!(documents[2].is_null());
    }

    #[test]
    fn billion_laughs_end_at_the_limit() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let previous = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![previous; 9].join(", "));
        }
        assert_eq!(only_code(&text), codes::LIMITS);
    }

    #[test]
    fn a_merge_bomb_ends_at_the_limit() {
        let wide: Vec<String> = (0..400)
            .map(|key| format!("k{key}: &v{key} [{}]", "1,".repeat(400)))
            .collect();
        let mut text = format!("a0: &a0 {{{}}}\n", wide.join(", "));
        for level in 1..400 {
            text += &format!("a{level}: &a{level} {{<<: *a{}}}\n", level - 1);
        }
        assert_eq!(only_code(&text), codes::LIMITS);
    }

    #[test]
    fn deep_nesting_ends_at_the_limit() {
        for text in [
            "[".repeat(5000),
            "a: {".repeat(5000),
            "- ".repeat(5000) + "x",
        ] {
            let (_, errors) = parse_documents(&text, 0);
            assert_eq!(errors.len(), 1);
            assert!(
                [codes::LIMITS, codes::SYNTAX].contains(&errors[0].code),
                "{errors:?}"
            );
        }
        let mut aliased = String::from("a0: &a0 [x]\n");
        for level in 1..70 {
            aliased += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
        }
        assert_eq!(only_code(&aliased), codes::LIMITS);
    }

    #[test]
    fn refused_constructs() {
        assert_eq!(only_code("a: 1\na: 2\n"), codes::DUPLICATE_KEY);
        assert_eq!(only_code("a: &x [*x]\n"), codes::SYNTAX);
        assert_eq!(only_code("? [a]\n: b\n"), codes::SYNTAX);
        assert_eq!(only_code("a: !include b.yaml\n"), codes::SYNTAX);
        assert_eq!(only_code("a: !!binary aGk=\n"), codes::SYNTAX);
        assert_eq!(only_code("a: *missing\n"), codes::SYNTAX);
        assert_eq!(only_code("<<: 5\n"), codes::SYNTAX);
        assert_eq!(only_code("a: 'open\n"), codes::SYNTAX);
    }

    #[test]
    fn spans_point_at_the_value() {
        let (documents, _) = parse_documents("\u{feff}spec:\n  한글: [a, \"b c\"]\n", 0);
        let span = documents[0].span_at(&at!["spec", "한글", 1]);
        assert_eq!((span.line, span.column, span.end_column), (2, 10, 15));
        let beyond = documents[0].span_at(&at!["spec", "한글", "nothing", "here"]);
        assert_eq!((beyond.line, beyond.column, beyond.end_column), (2, 2, 4));
    }
}
