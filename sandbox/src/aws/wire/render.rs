//! Replies and errors in each protocol's shape.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::aws::service::Protocol;

/// A reply, whole.
pub(crate) type Reply = Response<Full<Bytes>>;

/// The reply to an action that succeeded.
pub(crate) fn success(protocol: Protocol, action: &str, request_id: &str, tree: &Value) -> Reply {
    let mut text = String::new();
    match protocol {
        Protocol::Ec2 { xmlns } => {
            text.push_str(DECLARATION);
            text.push_str(&format!("<{action}Response xmlns=\"{xmlns}\">"));
            element(&mut text, "requestId", &request_id.into(), "item");
            children(&mut text, tree, "item");
            text.push_str(&format!("</{action}Response>"));
        }
        Protocol::Query { xmlns } => {
            text.push_str(&format!("<{action}Response xmlns=\"{xmlns}\">"));
            if !tree.is_null() {
                element(&mut text, &format!("{action}Result"), tree, "member");
            }
            text.push_str(&format!(
                "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
            ));
        }
        Protocol::RestJson | Protocol::Json { .. } => {
            text = match tree {
                // AWS leaves members without a value out; an empty reply is an empty object.
                Value::Null => "{}".to_owned(),
                tree => without_nulls(tree).to_string(),
            };
        }
    }
    whole(protocol, StatusCode::OK, request_id, text)
}

/// The reply to an action that failed.
pub(crate) fn failure(
    protocol: Protocol,
    invalid: Option<&'static str>,
    request_id: &str,
    error: &ApiError,
) -> Reply {
    let code = error.code_for(invalid);
    let mut text = String::new();
    match protocol {
        Protocol::Ec2 { .. } => {
            text.push_str(DECLARATION);
            text.push_str("<Response><Errors><Error>");
            element(&mut text, "Code", &code.as_ref().into(), "item");
            element(&mut text, "Message", &error.message.as_str().into(), "item");
            text.push_str("</Error></Errors>");
            element(&mut text, "RequestID", &request_id.into(), "item");
            text.push_str("</Response>");
        }
        Protocol::Query { xmlns } => {
            let side = if error.status.is_server_error() {
                "Receiver"
            } else {
                "Sender"
            };
            text.push_str(&format!(
                "<ErrorResponse xmlns=\"{xmlns}\"><Error><Type>{side}</Type>"
            ));
            element(&mut text, "Code", &code.as_ref().into(), "member");
            element(
                &mut text,
                "Message",
                &error.message.as_str().into(),
                "member",
            );
            text.push_str("</Error>");
            element(&mut text, "RequestId", &request_id.into(), "member");
            text.push_str("</ErrorResponse>");
        }
        Protocol::RestJson | Protocol::Json { .. } => {
            let mut body = Map::new();
            if protocol != Protocol::RestJson {
                body.insert("__type".to_owned(), code.as_ref().into());
            }
            body.insert("message".to_owned(), error.message.as_str().into());
            body.extend(error.fields.clone());
            text = Value::Object(body).to_string();
        }
    }
    let mut reply = whole(protocol, error.status, request_id, text);
    if let (Protocol::RestJson | Protocol::Json { .. }, Ok(code)) =
        (protocol, HeaderValue::from_str(&code))
    {
        reply.headers_mut().insert("x-amzn-errortype", code);
    }
    reply
}

/// The same for REST-XML: Amazon S3 API reference, "REST error responses". No simulated service speaks it.
pub(crate) fn rest_xml_failure(request_id: &str, error: &ApiError) -> Reply {
    let mut text = format!("{DECLARATION}<Error>");
    for (name, value) in [
        ("Code", error.code_for(None).as_ref()),
        ("Message", error.message.as_str()),
        ("RequestId", request_id),
    ] {
        element(&mut text, name, &value.into(), "member");
    }
    text.push_str("</Error>");
    let protocol = Protocol::Query { xmlns: "" };
    whole(protocol, error.status, request_id, text)
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn whole(protocol: Protocol, status: StatusCode, request_id: &str, text: String) -> Reply {
    let kind = match protocol {
        Protocol::Ec2 { .. } | Protocol::Query { .. } => "text/xml;charset=UTF-8",
        Protocol::RestJson => "application/json",
        Protocol::Json { version: "1.0", .. } => "application/x-amz-json-1.0",
        Protocol::Json { .. } => "application/x-amz-json-1.1",
    };
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    reply
}

fn without_nulls(tree: &Value) -> Value {
    match tree {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                kept.map(|(name, value)| (name.clone(), without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

fn children(out: &mut String, tree: &Value, item: &str) {
    if let Value::Object(map) = tree {
        for (name, value) in map {
            element(out, name, value, item);
        }
    }
}

fn element(out: &mut String, name: &str, value: &Value, item: &str) {
    match value {
        Value::Null => return,
        Value::Array(items) if items.is_empty() => {
            out.push_str(&format!("<{name}/>"));
            return;
        }
        _ => {}
    }
    out.push_str(&format!("<{name}>"));
    match value {
        Value::Object(_) => children(out, value, item),
        Value::Array(items) => items.iter().for_each(|one| element(out, item, one, item)),
        Value::String(text) => escape(out, text),
        other => out.push_str(&other.to_string()),
    }
    out.push_str(&format!("</{name}>"));
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;

    const EC2: Protocol = Protocol::Ec2 { xmlns: "urn:ec2" };
    const IAM: Protocol = Protocol::Query { xmlns: "urn:iam" };

    async fn text(reply: Reply) -> String {
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn lists_are_items_in_ec2_and_members_elsewhere() {
        let tree = json!({"set": [{"id": "a<b"}, {"id": null}], "none": []});
        let ec2 = text(success(EC2, "Do", "r", &tree)).await;
        assert!(
            ec2.ends_with(
                "<DoResponse xmlns=\"urn:ec2\"><requestId>r</requestId><set><item><id>a&lt;b</id></item><item></item></set>\
                 <none/></DoResponse>"
            ),
            "{ec2}"
        );
        let iam = text(success(IAM, "Do", "r", &json!({"set": ["x"]}))).await;
        assert!(
            iam.contains("<DoResult><set><member>x</member></set></DoResult><ResponseMetadata>"),
            "{iam}"
        );
    }

    #[tokio::test]
    async fn each_protocol_has_its_own_error() {
        let error = ApiError::missing("VpcId");
        let ec2 = text(failure(EC2, None, "r", &error)).await;
        assert!(ec2.contains("<Code>MissingParameter</Code>") && ec2.contains("<RequestID>r<"));
        let iam = text(failure(IAM, Some("ValidationError"), "r", &error)).await;
        assert!(iam.contains("<Type>Sender</Type><Code>ValidationError</Code>"));
        let error = ApiError::new("ResourceInUseException", "busy").field("clusterName", "c");
        let eks = failure(Protocol::RestJson, None, "r", &error);
        assert_eq!(eks.headers()["x-amzn-errortype"], "ResourceInUseException");
        assert_eq!(text(eks).await, r#"{"message":"busy","clusterName":"c"}"#);
    }
}
