//! Substitutions in text values: `${kafka.bootstrap}` and the like.
//!
//! A Kafka address is written down once, in the `kafka` section; everything else refers to it. Only names that begin with `kafka.`
//! or `pipeline.` are ours; any other `${...}` (a shell's, Spark's, Log4j's) stays as it is.

use crate::{
    diagnostics::{Diagnostic, codes},
    model::Kafka,
    report::Report,
    suggest::nearest,
    yaml::{Content, Node},
};

/// What substitutions stand for.
#[derive(Debug)]
pub(crate) struct Substitutions {
    values: Vec<(String, String)>,
    has_kafka: bool,
}

const ROOTS: [&str; 2] = ["kafka.", "pipeline."];

/// The text with every substitution of ours protected, so that replacing gives the text itself again.
pub(crate) fn escaped(text: &str) -> String {
    ROOTS.iter().fold(text.to_owned(), |text, root| {
        text.replace(&format!("${{{root}"), &format!("$${{{root}"))
    })
}

impl Substitutions {
    pub(crate) fn new(pipeline_name: &str, kafka: Option<&Kafka>) -> Self {
        let mut values = vec![("pipeline.name".to_owned(), pipeline_name.to_owned())];
        if let Some(kafka) = kafka {
            values.push(("kafka.bootstrap".to_owned(), kafka.bootstrap_address()));
            values.push(("kafka.bootstrapFqdn".to_owned(), kafka.bootstrap_fqdn()));
            values.push(("kafka.name".to_owned(), kafka.name.clone()));
            values.push(("kafka.namespace".to_owned(), kafka.namespace.clone()));
            for listener in &kafka.listeners {
                if let Some(address) = kafka.bootstrap_of(&listener.name) {
                    values.push((format!("kafka.bootstrap.{}", listener.name), address));
                }
            }
        }
        Self {
            values,
            has_kafka: kafka.is_some(),
        }
    }

    /// Replaces in every text value of the tree; an unknown name is a finding at the value.
    pub(crate) fn apply(&self, node: &mut Node, report: &mut Report) {
        let span = node.span;
        match &mut node.content {
            Content::Scalar { text, plain } => {
                if !text.contains("${") {
                    return;
                }
                match self.replace(text) {
                    Ok(replaced) if replaced != *text => {
                        *text = replaced;
                        // What was replaced is a text, also when it looks like a number.
                        *plain = false;
                    }
                    Ok(_) => {}
                    Err(name) => report.push(span, self.unknown(&name)),
                }
            }
            Content::List(items) => items.iter_mut().for_each(|item| self.apply(item, report)),
            Content::Map(entries) => entries
                .iter_mut()
                .for_each(|(_, value)| self.apply(value, report)),
        }
    }

    /// The text with its substitutions made, or the first name that is not known.
    fn replace(&self, text: &str) -> Result<String, String> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            let name = &from[2..];
            let ours = ROOTS.iter().any(|root| name.starts_with(root));
            let Some(end) = name.find('}').filter(|_| ours) else {
                result.push_str(before);
                result.push_str("${");
                rest = name;
                continue;
            };
            let name = &name[..end];
            if let Some(before) = before.strip_suffix('$') {
                result.push_str(before);
                result.push_str(&from[..end + 3]);
            } else {
                let value = self
                    .values
                    .iter()
                    .find(|(known, _)| known == name)
                    .ok_or_else(|| name.to_owned())?;
                result.push_str(before);
                result.push_str(&value.1);
            }
            rest = &from[end + 3..];
        }
        result.push_str(rest);
        Ok(result)
    }

    fn unknown(&self, name: &str) -> Diagnostic {
        let names = || self.values.iter().map(|(name, _)| name.as_str());
        let diagnostic = Diagnostic::error(
            codes::UNKNOWN_SUBSTITUTION,
            format!("'${{{name}}}' stands for nothing"),
        );
        if name.starts_with("kafka.") && !self.has_kafka {
            return diagnostic
                .label("there is no kafka section")
                .help("add spec.kafka, or write the address itself");
        }
        match nearest(name, names()) {
            Some(candidate) => diagnostic.help(format!("did you mean ${{{candidate}}}?")),
            None => diagnostic.help(format!(
                "known here: {}; $${{...}} keeps the characters",
                names().collect::<Vec<_>>().join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Substitutions;
    use crate::model::Kafka;

    #[test]
    fn names_of_ours_are_replaced_and_others_stay() {
        let substitutions = Substitutions::new("demo", Some(&Kafka::default()));
        for (text, expected) in [
            ("${kafka.bootstrap}", "kafka-kafka-bootstrap.kafka.svc:9092"),
            (
                "a ${kafka.name}/${kafka.namespace} ${pipeline.name}",
                "a kafka/kafka demo",
            ),
            (
                "${kafka.bootstrap.plain},${kafka.bootstrapFqdn}",
                "kafka-kafka-bootstrap.kafka.svc:9092,kafka-kafka-bootstrap.kafka.svc.cluster.local:9092",
            ),
            (
                "${HOME} ${env:X:-y} $${kafka.name} ${kafka.name",
                "${HOME} ${env:X:-y} ${kafka.name} ${kafka.name",
            ),
            ("$$ ${ $${HOME}", "$$ ${ $${HOME}"),
        ] {
            assert_eq!(
                substitutions.replace(text).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        assert_eq!(
            substitutions.replace("x ${kafka.boot}"),
            Err("kafka.boot".to_owned())
        );
    }
}
