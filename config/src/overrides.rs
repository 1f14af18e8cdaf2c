//! `--set PATH=VALUE`: changes to the tree before it is checked, so that they get the same findings as the file.

use crate::{
    diagnostics::{Diagnostic, Diagnostics, Location, codes},
    report::Report,
    suggest::nearest,
    yaml::{Content, Key, Node, SourceText, Span, parse_documents},
};

/// One `--set PATH=VALUE`: a field of the pipeline file and what it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The field: dots between names; a list position, an item's `name` or a name with dots in brackets, such as
    /// `spec.kafka.topics[streaming-topic].partitions`. `spec.` may be left out.
    pub path: String,
    /// The value, as YAML.
    pub value: String,
}

/// No field lies deeper; the limit keeps the tree's depth bounded.
const MAX_STEPS: usize = 32;

const USAGE: &str =
    "write --set PATH=VALUE, such as --set kafka.topics[streaming-topic].partitions=6";

impl Override {
    /// Reads `PATH=VALUE`.
    ///
    /// # Errors
    /// A finding when there is no `=` outside brackets, or no path before it.
    pub fn parse(argument: &str) -> Result<Self, Diagnostics> {
        let mut depth = 0_usize;
        let equals = argument.char_indices().find_map(|(position, character)| {
            match character {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                '=' if depth == 0 => return Some(position),
                _ => {}
            }
            None
        });
        match equals {
            Some(position) if position > 0 => Ok(Self {
                path: argument[..position].to_owned(),
                value: argument[position + 1..].to_owned(),
            }),
            _ => {
                let diagnostic = Diagnostic::error(
                    codes::BAD_OVERRIDE,
                    format!("'{argument}' is not PATH=VALUE"),
                );
                Err(Diagnostics(vec![
                    diagnostic.at(Location::file("--set")).help(USAGE),
                ]))
            }
        }
    }

    /// The path as steps.
    fn segments(&self) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        let mut rest = self.path.as_str();
        let mut position = 0;
        while !rest.is_empty() {
            let (step, length) = if let Some(inner) = rest.strip_prefix('[') {
                let end = inner.find(']').ok_or("a bracket is not closed")?;
                let name = inner[..end].trim_matches('"');
                (
                    Step {
                        name: name.to_owned(),
                        bracket: true,
                        start: position + 1,
                        end: position + 1 + end,
                    },
                    end + 2,
                )
            } else {
                let skip = usize::from(rest.starts_with('.') && position > 0);
                let length = rest[skip..].find(['.', '[']).unwrap_or(rest.len() - skip);
                let name = &rest[skip..skip + length];
                (
                    Step {
                        name: name.to_owned(),
                        bracket: false,
                        start: position + skip,
                        end: position + skip + length,
                    },
                    skip + length,
                )
            };
            if step.name.is_empty() {
                return Err("a name is missing".to_owned());
            }
            steps.push(step);
            if steps.len() > MAX_STEPS {
                return Err(format!("the path has more than {MAX_STEPS} steps"));
            }
            rest = &rest[length..];
            position += length;
        }
        const TOP: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
        if steps
            .first()
            .is_some_and(|step| !TOP.contains(&step.name.as_str()))
        {
            steps.insert(
                0,
                Step {
                    name: "spec".to_owned(),
                    bracket: false,
                    start: 0,
                    end: 0,
                },
            );
        }
        Ok(steps)
    }
}

struct Step {
    name: String,
    bracket: bool,
    /// Where it stands in the path, in bytes.
    start: usize,
    end: usize,
}

/// Applies the changes in order; what cannot be applied is a finding.
pub(crate) fn apply(tree: &mut Node, overrides: &[Override], report: &mut Report) {
    for change in overrides {
        let argument = format!("{}={}", change.path, change.value);
        let text = report.add_text(SourceText::new("--set", &argument));
        let offset = change.path.chars().count() + 1;
        let span_of = |start: usize, end: usize| {
            let column = |byte: usize| change.path[..byte].chars().count();
            Span {
                text,
                line: 1,
                column: column(start),
                end_line: 1,
                end_column: column(end),
            }
        };
        let whole = span_of(0, change.path.len());
        let (mut documents, errors) = parse_documents(&change.value, text);
        if let Some(error) = errors.into_iter().next() {
            let message = format!(
                "the value for {} cannot be read: {}",
                change.path, error.message
            );
            let span = Span {
                column: offset,
                end_column: argument.chars().count(),
                line: 1,
                end_line: 1,
                text,
            };
            report.push(span, Diagnostic::error(error.code, message).help(USAGE));
            continue;
        }
        let empty = || {
            Node::scalar(
                "",
                false,
                Span {
                    text,
                    line: 1,
                    column: offset,
                    end_line: 1,
                    end_column: offset,
                },
            )
        };
        let mut value = if documents.is_empty() {
            empty()
        } else {
            documents.swap_remove(0)
        };
        shift(&mut value, offset);
        let result = change
            .segments()
            .map_err(|message| (whole, message))
            .and_then(|steps| {
                let spans: Vec<Span> = steps
                    .iter()
                    .map(|step| span_of(step.start, step.end))
                    .collect();
                set(tree, &steps, &spans, value)
            });
        if let Err((span, message)) = result {
            report.push(
                span,
                Diagnostic::error(codes::BAD_OVERRIDE, message).help(USAGE),
            );
        }
    }
}

/// Moves the value's places behind the path, where they stand in the argument. Further lines of a value keep their columns.
fn shift(node: &mut Node, offset: usize) {
    let move_span = |span: &mut Span| {
        if span.line == 1 {
            span.column += offset;
        }
        if span.end_line == 1 {
            span.end_column += offset;
        }
    };
    move_span(&mut node.span);
    match &mut node.content {
        Content::Scalar { .. } => {}
        Content::List(items) => items.iter_mut().for_each(|item| shift(item, offset)),
        Content::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
            move_span(&mut key.span);
            shift(value, offset);
        }),
    }
}

fn set(node: &mut Node, steps: &[Step], spans: &[Span], value: Node) -> Result<(), (Span, String)> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    let span = spans[0];
    if let Content::List(items) = &mut node.content {
        let index = item_index(items, step, span)?;
        if index == items.len() {
            items.push(Node::scalar("", true, span));
        }
        return set(&mut items[index], rest, &spans[1..], value);
    }
    if !matches!(node.content, Content::Map(_)) {
        if step.bracket && step.name.parse::<usize>().is_ok() {
            return Err((span, format!("there is no list before [{}]", step.name)));
        }
        // Nothing, or a word such as `sandbox`, gives way to a mapping.
        node.content = Content::Map(Vec::new());
        node.span = span;
    }
    let Content::Map(entries) = &mut node.content else {
        return Ok(());
    };
    let position = entries
        .iter()
        .position(|(key, _)| key.text == step.name)
        .unwrap_or_else(|| {
            entries.push((
                Key {
                    text: step.name.clone(),
                    span,
                },
                Node::scalar("", true, span),
            ));
            entries.len() - 1
        });
    set(&mut entries[position].1, rest, &spans[1..], value)
}

/// The item that a step means: by position, one past the end to append, or by its name.
fn item_index(items: &[Node], step: &Step, span: Span) -> Result<usize, (Span, String)> {
    if let Ok(index) = step.name.parse::<usize>() {
        return if index <= items.len() {
            Ok(index)
        } else {
            Err((
                span,
                format!("there is no [{index}] in a list of {}", items.len()),
            ))
        };
    }
    let names: Vec<&str> = items
        .iter()
        .filter_map(|item| item.get("name")?.text())
        .collect();
    items
        .iter()
        .position(|item| item.get("name").and_then(Node::text) == Some(&step.name))
        .ok_or_else(|| {
            let advice = match nearest(&step.name, names.iter().copied()) {
                Some(candidate) => format!("did you mean [{candidate}]?"),
                None if names.is_empty() => "write its position".to_owned(),
                None => format!("there are {}", names.join(", ")),
            };
            (
                span,
                format!("the list has no item called '{}'; {advice}", step.name),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::{Override, apply};
    use crate::{
        report::Report,
        yaml::{parse_documents, to_json},
    };
    use serde_json::{Value, json};

    fn applied(file: &str, arguments: &[&str]) -> Result<Value, String> {
        let (mut documents, errors) = parse_documents(file, 0);
        assert!(errors.is_empty(), "{errors:?}");
        let mut report = Report::default();
        report.add_text(crate::yaml::SourceText::new("pipeline.yaml", file));
        let overrides: Vec<Override> = arguments
            .iter()
            .map(|argument| Override::parse(argument).unwrap())
            .collect();
        apply(&mut documents[0], &overrides, &mut report);
        if report.has_errors() {
            Err(report.finish().to_string())
        } else {
            Ok(to_json(&documents[0]))
        }
    }

    #[test]
    fn fields_are_set_replaced_appended_and_created() {
        let file = "spec: {provider: sandbox, kafka: {topics: [{name: a, partitions: 3}]}}";
        let arguments = [
            "kafka.topics[a].partitions=6",
            "spec.kafka.topics[1]={name: b}",
            "provider.existing.context=kind",
            "sparkApplications=[]",
            "x.conf[\"spark.a.b\"]=a=b",
            "empty=",
        ];
        let expected = json!({"spec": {
            "provider": {"existing": {"context": "kind"}},
            "kafka": {"topics": [{"name": "a", "partitions": 6}, {"name": "b"}]},
            "sparkApplications": [],
            "x": {"conf": {"spark.a.b": "a=b"}},
            "empty": "",
        }});
        assert_eq!(applied(file, &arguments).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_applied_says_where() {
        let file = "spec: {kafka: {topics: [{name: streaming-topic}]}}";
        insta::assert_snapshot!(applied(file, &["kafka.topics[streaming-topc].partitions=6"]).unwrap_err(), @r"
        error[CFG017]: the list has no item called 'streaming-topc'; did you mean [streaming-topic]?
           ╭─ --set:1:14
           │
         1 │ kafka.topics[streaming-topc].partitions=6
           │              ^^^^^^^^^^^^^^
           ╰─ help: write --set PATH=VALUE, such as --set kafka.topics[streaming-topic].partitions=6

        1 error in --set; nothing was changed
        ");
        insta::assert_snapshot!(applied(file, &["kafka.topics[7].partitions=6"]).unwrap_err(), @r"
        error[CFG017]: there is no [7] in a list of 1
           ╭─ --set:1:14
           │
         1 │ kafka.topics[7].partitions=6
           │              ^
           ╰─ help: write --set PATH=VALUE, such as --set kafka.topics[streaming-topic].partitions=6

        1 error in --set; nothing was changed
        ");
        insta::assert_snapshot!(applied(file, &["kafka.name='open"]).unwrap_err(), @r"
        error[CFG006]: the value for kafka.name cannot be read: this is not valid YAML: while scanning a quoted scalar, found unexpected end of stream
           ╭─ --set:1:12
           │
         1 │ kafka.name='open
           │            ^^^^^
           ╰─ help: write --set PATH=VALUE, such as --set kafka.topics[streaming-topic].partitions=6

        1 error in --set; nothing was changed
        ");
        insta::assert_snapshot!(applied(file, &["kafka..name=x"]).unwrap_err(), @r"
        error[CFG017]: a name is missing
           ╭─ --set:1:1
           │
         1 │ kafka..name=x
           │ ^^^^^^^^^^^
           ╰─ help: write --set PATH=VALUE, such as --set kafka.topics[streaming-topic].partitions=6

        1 error in --set; nothing was changed
        ");
        insta::assert_snapshot!(Override::parse("kafka.name").unwrap_err().to_string(), @r"
        error[CFG017]: 'kafka.name' is not PATH=VALUE
           ╭─ --set
           ╰─ help: write --set PATH=VALUE, such as --set kafka.topics[streaming-topic].partitions=6

        1 error in --set; nothing was changed
        ");
    }
}
