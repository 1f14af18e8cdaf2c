//! Checks a tree against the JSON schema of the types, with a finding at every place where it differs.
//!
//! The schema is generated from the types themselves, so that this check, the types and the published schema cannot disagree.

mod keywords;

use self::keywords::{
    choices, first_sentence, has_type, is_anything, kind_of, last_key, lower_first, name_of,
    quoted, variant_key,
};
use crate::{
    diagnostics::{Diagnostic, codes},
    report::Report,
    suggest::nearest,
    units::{Cpu, KubernetesVersion, Period, Size, SparkMemory, UnitError, Version},
    yaml::{Content, Key, Node, Path, Plain, Span, resolve_plain, to_json},
};
use serde_json::{Map, Value};

/// Checks `node` and returns it as JSON that the types can read: without the parts that are wrong, unless they are required.
/// Also returns the paths of what was wrong, so that later checks can leave those parts alone.
pub(crate) fn check_shape(
    node: &Node,
    schema: &Value,
    report: &mut Report,
) -> (Option<Value>, Vec<Path>) {
    let mut shape = Shape {
        root: schema,
        report,
        wrong: Vec::new(),
    };
    let value = shape.check(node, schema, &Path::default(), node.own_span());
    (value, shape.wrong)
}

struct Shape<'a> {
    root: &'a Value,
    report: &'a mut Report,
    wrong: Vec<Path>,
}

impl<'a> Shape<'a> {
    fn refuse(&mut self, path: &Path, span: Span, diagnostic: Diagnostic) {
        self.wrong.push(path.clone());
        self.report.push(span, diagnostic);
    }

    fn resolve(&self, mut schema: &'a Value) -> &'a Value {
        while let Some(name) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| name.strip_prefix("#/$defs/"))
        {
            schema = &self.root["$defs"][name];
        }
        schema
    }

    /// The ways in which a value may be written, apart from nothing at all.
    fn alternatives(&self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolve(schema);
        match schema
            .get("oneOf")
            .or_else(|| schema.get("anyOf"))
            .and_then(Value::as_array)
        {
            Some(list) => list
                .iter()
                .flat_map(|item| self.alternatives(item))
                .collect(),
            None if schema.get("type").and_then(Value::as_str) == Some("null") => Vec::new(),
            None => vec![schema],
        }
    }

    fn check(
        &mut self,
        node: &Node,
        schema: &'a Value,
        path: &Path,
        anchor: Span,
    ) -> Option<Value> {
        let alternatives = self.alternatives(schema);
        if alternatives.iter().any(|schema| is_anything(schema)) {
            return Some(to_json(node));
        }
        if node.is_null() {
            let has_object = alternatives.iter().any(|schema| has_type(schema, "object"));
            let advice = if has_object {
                "write {} for the defaults, or remove the field"
            } else {
                "give it a value, or remove the field"
            };
            let diagnostic =
                Diagnostic::error(codes::NOTHING, format!("{} is left empty", name_of(path)));
            self.refuse(path, anchor, diagnostic.label("nothing here").help(advice));
            return None;
        }
        match &node.content {
            Content::Map(entries) => self.mapping(node, entries, &alternatives, path, anchor),
            Content::List(items) => {
                match alternatives.iter().find(|schema| has_type(schema, "array")) {
                    Some(schema) => self.list(items, schema, path),
                    None => self.wrong_type(node, &alternatives, path, anchor),
                }
            }
            Content::Scalar { text, plain } => self.scalar(node, text, *plain, &alternatives, path),
        }
    }

    fn list(&mut self, items: &[Node], schema: &'a Value, path: &Path) -> Option<Value> {
        let item_schema = &schema["items"];
        let checked = items.iter().enumerate().filter_map(|(index, item)| {
            self.check(item, item_schema, &path.index(index), item.own_span())
        });
        Some(Value::Array(checked.collect()))
    }

    fn mapping(
        &mut self,
        node: &Node,
        entries: &[(Key, Node)],
        alternatives: &[&'a Value],
        path: &Path,
        anchor: Span,
    ) -> Option<Value> {
        let objects: Vec<&'a Value> = alternatives
            .iter()
            .copied()
            .filter(|schema| has_type(schema, "object"))
            .collect();
        match objects[..] {
            [] => self.wrong_type(node, alternatives, path, anchor),
            [schema] if variant_key(schema).is_none() || alternatives.len() == 1 => {
                self.object(entries, schema, path, anchor)
            }
            _ => self.variant(entries, alternatives, &objects, path, anchor),
        }
    }

    /// One of several mappings that are told apart by their only key: `provider: {eks: {...}}`.
    fn variant(
        &mut self,
        entries: &[(Key, Node)],
        alternatives: &[&'a Value],
        objects: &[&'a Value],
        path: &Path,
        anchor: Span,
    ) -> Option<Value> {
        let keys: Vec<&str> = objects
            .iter()
            .filter_map(|schema| variant_key(schema))
            .collect();
        let words: Vec<&str> = choices(alternatives);
        match entries {
            [(key, value)] => {
                if let Some(schema) = objects
                    .iter()
                    .find(|schema| variant_key(schema) == Some(key.text.as_str()))
                {
                    let inner = &schema["properties"][&key.text];
                    let value = self.check(value, inner, &path.key(&key.text), key.span)?;
                    return Some(Value::Object(Map::from_iter([(key.text.clone(), value)])));
                }
                let all = || keys.iter().chain(&words).copied();
                let help = if words.contains(&key.text.as_str()) {
                    format!("write {}: {}", last_key(path), key.text)
                } else {
                    match nearest(&key.text, all()) {
                        Some(candidate) => format!("did you mean {candidate}?"),
                        None => format!("write one of {}", quoted(all())),
                    }
                };
                let message = format!("'{}' is not a choice for {}", key.text, name_of(path));
                let label = format!("one of {}", all().collect::<Vec<_>>().join(", "));
                self.refuse(
                    path,
                    key.span,
                    Diagnostic::error(codes::NOT_A_CHOICE, message)
                        .label(label)
                        .help(help),
                );
            }
            _ => {
                let message = format!(
                    "{} takes exactly one of {}",
                    name_of(path),
                    quoted(keys.iter().copied())
                );
                let span = entries.get(1).map_or(anchor, |(key, _)| key.span);
                self.refuse(path, span, Diagnostic::error(codes::NOT_A_CHOICE, message));
            }
        }
        None
    }

    fn object(
        &mut self,
        entries: &[(Key, Node)],
        schema: &'a Value,
        path: &Path,
        anchor: Span,
    ) -> Option<Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema
            .get("additionalProperties")
            .unwrap_or(&Value::Bool(true));
        let mut result = Map::new();
        // Fields that a misspelt one most likely stands for; that they are missing follows from the slip.
        let mut meant: Vec<&str> = Vec::new();
        for (key, node) in entries {
            let path = path.key(&key.text);
            if let Some(schema) = properties.and_then(|properties| properties.get(&key.text)) {
                if let Some(value) = self.check(node, schema, &path, key.span) {
                    result.insert(key.text.clone(), value);
                }
            } else if *additional != Value::Bool(false) {
                if let Some(value) = self.check(node, additional, &path, key.span) {
                    result.insert(key.text.clone(), value);
                }
            } else {
                meant.extend(self.unknown_field(key, properties, &path, entries));
            }
        }
        let mut complete = true;
        for name in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if result.contains_key(name) {
                continue;
            }
            complete = false;
            // A field that is there but wrong has had its finding.
            if !meant.contains(&name) && !entries.iter().any(|(key, _)| key.text == name) {
                let place = if path.segments().is_empty() {
                    "the file".to_owned()
                } else {
                    path.to_string()
                };
                let diagnostic = Diagnostic::error(
                    codes::MISSING_FIELD,
                    format!("'{name}' is missing in {place}"),
                );
                let help = match properties
                    .and_then(|properties| properties[name].get("description"))
                    .and_then(Value::as_str)
                {
                    Some(description) => {
                        format!("add {name}: {}", lower_first(first_sentence(description)))
                    }
                    None => format!("add {name}"),
                };
                self.refuse(
                    &path.key(name),
                    anchor,
                    diagnostic.label(format!("needs '{name}'")).help(help),
                );
            }
        }
        complete.then_some(Value::Object(result))
    }

    /// A finding about a field that is not known; returns the one that was most likely meant.
    fn unknown_field(
        &mut self,
        key: &Key,
        properties: Option<&'a Map<String, Value>>,
        path: &Path,
        entries: &[(Key, Node)],
    ) -> Option<&'a str> {
        let known: Vec<&'a str> = properties
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        // What is set already cannot be what was meant, unless there is nothing else.
        let free = known
            .iter()
            .copied()
            .filter(|name| !entries.iter().any(|(key, _)| key.text == *name));
        let place = path
            .split_last()
            .map(|(_, parent)| parent.to_string())
            .unwrap_or_default();
        let place = if place.is_empty() {
            "in the file".to_owned()
        } else {
            format!("in {place}")
        };
        let diagnostic = Diagnostic::error(
            codes::UNKNOWN_FIELD,
            format!("unknown field '{}' {place}", key.text),
        );
        let meant = nearest(&key.text, free);
        let help = match meant {
            Some(candidate) => format!("did you mean {candidate}?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.refuse(
            path,
            key.span,
            diagnostic.label("not known here").help(help),
        );
        meant
    }

    fn wrong_type(
        &mut self,
        node: &Node,
        alternatives: &[&'a Value],
        path: &Path,
        anchor: Span,
    ) -> Option<Value> {
        let expected: Vec<String> = alternatives.iter().map(|schema| kind_of(schema)).collect();
        let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expected.dedup();
        let expected = expected.join(" or ");
        let message = format!(
            "{} must be {expected}, not {}",
            name_of(path),
            if expected == "a whole number" && node.describe() == "a number" {
                "a fraction"
            } else {
                node.describe()
            }
        );
        let diagnostic =
            Diagnostic::error(codes::WRONG_TYPE, message).label(format!("expected {expected}"));
        let scalar = matches!(node.content, Content::Scalar { .. });
        let diagnostic = if scalar && alternatives.iter().any(|schema| has_type(schema, "array")) {
            diagnostic.help("put a list there: [...], or one item a line, each after a hyphen")
        } else {
            diagnostic
        };
        self.refuse(path, if scalar { node.span } else { anchor }, diagnostic);
        None
    }

    fn scalar(
        &mut self,
        node: &Node,
        text: &str,
        plain: bool,
        alternatives: &[&'a Value],
        path: &Path,
    ) -> Option<Value> {
        let words = choices(alternatives);
        if words.contains(&text) {
            return Some(Value::String(text.to_owned()));
        }
        if !words.is_empty() {
            self.not_a_choice(node, text, &words, alternatives, path);
            return None;
        }
        let meaning = resolve_plain(text, plain);
        match &meaning {
            Plain::Bool(value)
                if alternatives
                    .iter()
                    .any(|schema| has_type(schema, "boolean")) =>
            {
                return Some(Value::Bool(*value));
            }
            Plain::Number(number) => {
                let whole = alternatives
                    .iter()
                    .find(|schema| has_type(schema, "integer"));
                if let (Some(schema), false) = (whole, number.is_f64()) {
                    return self.integer(node, number, schema, path);
                }
                if alternatives.iter().any(|schema| has_type(schema, "number")) {
                    return Some(Value::Number(number.clone()));
                }
            }
            _ => {}
        }
        // What a field of text takes is the text as it is written, so that versions like 1.30 and ports need no quotes.
        match alternatives
            .iter()
            .find(|schema| has_type(schema, "string"))
        {
            Some(schema) => self.string(node, text, schema, path),
            None => self.wrong_type(node, alternatives, path, node.span),
        }
    }

    fn not_a_choice(
        &mut self,
        node: &Node,
        text: &str,
        words: &[&'a str],
        alternatives: &[&'a Value],
        path: &Path,
    ) {
        let sections: Vec<&str> = alternatives
            .iter()
            .filter_map(|schema| variant_key(schema))
            .collect();
        let all: Vec<&str> = words.iter().chain(&sections).copied().collect();
        let is_format = matches!(path.to_string().as_str(), "apiVersion" | "kind");
        let code = if is_format {
            codes::FORMAT
        } else {
            codes::NOT_A_CHOICE
        };
        let help = if sections.contains(&text) {
            format!(
                "{text} has settings of its own: {}: {{{text}: {{...}}}}",
                last_key(path)
            )
        } else {
            match nearest(text, all.iter().copied()) {
                Some(candidate) => format!("did you mean {candidate}?"),
                None => format!("write {}", quoted(all.iter().copied())),
            }
        };
        let message = format!("'{text}' is not a choice for {}", name_of(path));
        let label = if all.len() == 1 {
            all[0].to_owned()
        } else {
            format!("one of {}", all.join(", "))
        };
        self.refuse(
            path,
            node.span,
            Diagnostic::error(code, message).label(label).help(help),
        );
    }

    fn integer(
        &mut self,
        node: &Node,
        number: &serde_json::Number,
        schema: &Value,
        path: &Path,
    ) -> Option<Value> {
        let choices = schema.get("enum").and_then(Value::as_array);
        if let Some(choices) = choices.filter(|choices| !choices.contains(&number.clone().into())) {
            let all: Vec<String> = choices.iter().map(Value::to_string).collect();
            let message = format!("'{number}' is not a choice for {}", name_of(path));
            self.refuse(
                path,
                node.span,
                Diagnostic::error(codes::NOT_A_CHOICE, message)
                    .label(format!("one of {}", all.join(", "))),
            );
            return None;
        }
        let low = schema.get("minimum").and_then(Value::as_i64).unwrap_or(0);
        let high = schema
            .get("maximum")
            .and_then(Value::as_i64)
            .unwrap_or(i64::from(u32::MAX));
        let value = number.as_i64();
        if value.is_some_and(|value| (low..=high).contains(&value)) {
            return Some(Value::Number(number.clone()));
        }
        let range = if high == i64::from(u32::MAX) {
            format!("at least {low}")
        } else {
            format!("from {low} to {high}")
        };
        let message = format!("{} is out of range: {number}", name_of(path));
        self.refuse(
            path,
            node.span,
            Diagnostic::error(codes::OUT_OF_RANGE, message).label(range),
        );
        None
    }

    fn string(&mut self, node: &Node, text: &str, schema: &Value, path: &Path) -> Option<Value> {
        let problem: Option<UnitError> = match schema.get("format").and_then(Value::as_str) {
            Some(Period::FORMAT) => text.parse::<Period>().err(),
            Some(Size::FORMAT) => text.parse::<Size>().err(),
            Some(SparkMemory::FORMAT) => text.parse::<SparkMemory>().err(),
            Some(Cpu::FORMAT) => text.parse::<Cpu>().err(),
            Some(Version::FORMAT) => text.parse::<Version>().err(),
            Some(KubernetesVersion::FORMAT) => text.parse::<KubernetesVersion>().err(),
            _ => None,
        };
        let Some(UnitError(sentence)) = problem else {
            return Some(Value::String(text.to_owned()));
        };
        let (message, help) = match sentence.split_once("; ") {
            Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
            None => (sentence, None),
        };
        let mut diagnostic =
            Diagnostic::error(codes::BAD_UNIT, format!("{}: {message}", name_of(path)));
        diagnostic.help = help;
        self.refuse(path, node.span, diagnostic);
        None
    }
}
