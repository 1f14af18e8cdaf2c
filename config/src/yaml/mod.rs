//! YAML with positions: a tree whose every key and value knows where it stands.

mod build;
mod path;
mod resolve;
mod text;

pub(crate) use build::parse_documents;
pub(crate) use path::{Path, Segment, at};
pub(crate) use resolve::{Plain, resolve_plain, to_json};
pub(crate) use text::{SourceText, Span};

/// The deepest nesting that is read. Real files stay below 20; the limit keeps every recursive walk within a thread's stack.
pub(crate) const MAX_DEPTH: usize = 64;

/// The most values in one file, aliases expanded. A generous multiple of what fits into the largest file by hand.
pub(crate) const MAX_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub content: Content,
    pub span: Span,
    /// How many values it has in all, itself included: what an alias to it costs.
    pub weight: usize,
    /// How deep it is nested: what an alias to it adds to the depth of its place.
    pub height: usize,
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A single value as it is written; `plain` when without quotes, so that it may mean a number, a yes/no or nothing.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A mapping's key and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub text: String,
    pub span: Span,
}

impl Node {
    pub(crate) fn scalar(text: impl Into<String>, plain: bool, span: Span) -> Self {
        Self {
            content: Content::Scalar {
                text: text.into(),
                plain,
            },
            span,
            weight: 1,
            height: 0,
        }
    }

    /// What kind of value it is, with an article.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.content {
            Content::Scalar { text, plain } => match resolve_plain(text, *plain) {
                Plain::Null => "nothing",
                Plain::Bool(_) => "true or false",
                Plain::Number(_) => "a number",
                Plain::Text => "a text",
            },
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// Whether it is written as nothing at all: empty, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain } if resolve_plain(text, *plain) == Plain::Null)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(candidate, _)| candidate.text == key),
            _ => None,
        }
    }

    /// The text of a scalar that is not nothing.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Every value below and including this one, with its path, in the order of the file.
    pub(crate) fn visit<'a>(&'a self, path: &Path, visit: &mut dyn FnMut(&Path, &'a Node)) {
        visit(path, self);
        match &self.content {
            Content::Scalar { .. } => {}
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.visit(&path.index(index), visit);
                }
            }
            Content::Map(entries) => {
                for (key, node) in entries {
                    node.visit(&path.key(&key.text), visit);
                }
            }
        }
    }

    /// The span to mark when the value at `path` is meant: a scalar itself, otherwise its key; where the path leaves the file, the
    /// nearest thing above that is written down.
    pub(crate) fn span_at(&self, path: &Path) -> Span {
        let mut best = self.own_span();
        let mut node = self;
        for segment in path.segments() {
            let next = match (segment, &node.content) {
                (Segment::Key(key), Content::Map(_)) => node.entry(key).map(|(key, value)| {
                    let scalar =
                        matches!(value.content, Content::Scalar { .. }) && !value.is_null();
                    (value, if scalar { value.span } else { key.span })
                }),
                (Segment::Index(index), Content::List(items)) => {
                    items.get(*index).map(|item| (item, item.own_span()))
                }
                _ => None,
            };
            let Some((value, span)) = next else { break };
            best = span;
            node = value;
        }
        best
    }

    /// The span of the key at `path`, for findings about the key itself.
    pub(crate) fn key_span_at(&self, path: &Path) -> Span {
        let Some((Segment::Key(last), parent)) = path.split_last() else {
            return self.span_at(path);
        };
        self.find(&parent)
            .and_then(|node| node.entry(last))
            .map_or_else(|| self.span_at(path), |(key, _)| key.span)
    }

    pub(crate) fn find(&self, path: &Path) -> Option<&Node> {
        path.segments()
            .iter()
            .try_fold(self, |node, segment| match (segment, &node.content) {
                (Segment::Key(key), Content::Map(_)) => node.get(key),
                (Segment::Index(index), Content::List(items)) => items.get(*index),
                _ => None,
            })
    }

    /// The span to mark when the value itself is meant and it has no key: of a mapping, its first key, since its whole text is long.
    pub(crate) fn own_span(&self) -> Span {
        match &self.content {
            Content::Scalar { .. } => self.span,
            Content::List(items) => items.first().map_or(self.span, Self::own_span),
            Content::Map(entries) => entries.first().map_or(self.span, |(key, _)| key.span),
        }
    }
}
