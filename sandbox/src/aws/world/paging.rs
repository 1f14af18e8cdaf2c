//! Pages of lists.

use crate::aws::wire::error::ApiError;

/// One page of a list, and the token of the next.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// The page of `items` that begins behind `token`. The items are in a lasting order of their keys, so that nothing is lost or
/// shown twice when others come and go between two pages.
///
/// # Errors
/// With this code when the token is none of ours.
pub(crate) fn page<T>(
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    most: Option<usize>,
    bad_token: &'static str,
) -> Result<Page<T>, ApiError> {
    let mut items = items;
    items.sort_by_key(&key);
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        let last = open(token)
            .ok_or_else(|| ApiError::new(bad_token, "The token is invalid or has expired."))?;
        items.retain(|item| key(item) > last);
    }
    let mut next = None;
    if let Some(most) = most.filter(|most| items.len() > *most) {
        items.truncate(most);
        next = items.last().map(|item| seal(&key(item)));
    }
    Ok(Page { items, next })
}

/// Tells our tokens from others', so that a wrong one is an error and not an empty page.
const MARK: &str = "pg1:";

fn seal(key: &str) -> String {
    crate::aws::wire::sigv4::hex(format!("{MARK}{key}").as_bytes())
}

fn open(token: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = (0..token.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok())
        .collect();
    let text = String::from_utf8(bytes?).ok()?;
    text.strip_prefix(MARK).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(items: &[&str], token: Option<&str>) -> Page<String> {
        let items = items.iter().map(|item| (*item).to_owned()).collect();
        page(items, Clone::clone, token, Some(2), "InvalidNextToken").unwrap()
    }

    #[test]
    fn pages_neither_lose_nor_repeat_when_others_go() {
        let first = ask(&["c", "a", "b", "d"], None);
        assert_eq!(first.items, ["a", "b"]);
        let second = ask(&["a", "c", "d"], first.next.as_deref());
        assert_eq!(second.items, ["c", "d"]);
        assert!(second.next.is_none());
        assert!(
            page(
                vec![1],
                i32::to_string,
                Some("zz"),
                None,
                "InvalidNextToken"
            )
            .is_err()
        );
    }
}
