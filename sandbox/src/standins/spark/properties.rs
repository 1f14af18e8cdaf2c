//! Java properties, as spark-submit stores them for the driver, and Java's notation of memory.

use std::collections::BTreeMap;

/// Spark properties by name.
pub(super) type Properties = BTreeMap<String, String>;

/// The text of `spark.properties` in a config map of this name.
pub(super) fn write(properties: &Properties, config_map: &str) -> String {
    let mut text =
        format!("#Java properties built from Kubernetes config map with name: {config_map}\n");
    for (key, value) in properties {
        text.push_str(&escape(key, true));
        text.push('=');
        text.push_str(&escape(value, false));
        text.push('\n');
    }
    text
}

/// What [`write`] wrote.
pub(super) fn read(text: &str) -> Properties {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut escaped = false;
            let split = line.char_indices().find(|(_, character)| {
                let found = !escaped && *character == '=';
                escaped = !escaped && *character == '\\';
                found
            })?;
            Some((unescape(&line[..split.0]), unescape(&line[split.0 + 1..])))
        })
        .collect()
}

fn escape(text: &str, key: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            ' ' if key || index == 0 => escaped.push_str("\\ "),
            '\\' | '=' | ':' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some('t') => plain.push('\t'),
                Some(other) => plain.push(other),
                None => {}
            },
            _ => plain.push(character),
        }
    }
    plain
}

/// The part of the properties under a prefix, without it.
pub(super) fn under<'a>(
    properties: &'a Properties,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    properties
        .iter()
        .filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
}

/// Mebibytes of Java's notation (`1g`, `512m`, `2048k`); a bare number counts mebibytes. None where it is neither.
pub(super) fn mebibytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_lowercase();
    let end = lower
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let number: u64 = number.parse().ok()?;
    match unit {
        "" | "m" | "mb" => Some(number),
        "k" | "kb" => Some(number / 1024),
        "g" | "gb" => number.checked_mul(1024),
        "t" | "tb" => number.checked_mul(1024 * 1024),
        "b" => Some(number / (1024 * 1024)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let properties: Properties = [
            ("spark.master", "k8s://https://10.96.0.1:443"),
            ("spark.empty", ""),
            ("spark.odd key", " a=b#c\\d\ne"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        let text = write(&properties, "spark-drv-1-conf-map");
        assert_eq!(read(&text), properties);
        assert!(
            text.contains("spark.master=k8s\\://https\\://10.96.0.1\\:443"),
            "{text}"
        );
    }

    #[test]
    fn memory_is_read_as_java_writes_it() {
        assert_eq!(mebibytes("1g"), Some(1024));
        assert_eq!(mebibytes("512m"), Some(512));
        assert_eq!(mebibytes("2048K"), Some(2));
        assert_eq!(mebibytes("300"), Some(300));
        assert_eq!(mebibytes("1Gi"), None);
    }
}
