//! What there is.

use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tokio::sync::mpsc;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::*;
use crate::dialect::signal;
use crate::web::body::MAX_BODY_BYTES;

const INFO: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// The messages of both versions are the same.
const INFO_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

fn asking(question: MessageRequest) -> Bytes {
    framed(&ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    })
}

fn answered(frame: &Bytes) -> MessageResponse {
    let message = message::unframe(frame).unwrap();
    let response = ServerReflectionResponse::decode(message).unwrap();
    response.message_response.unwrap()
}

fn server() -> Server {
    let (health, told) = watch::channel(ServerHealth::Serving);
    let http = about::http(&[signal::DESCRIPTORS], told).unwrap();
    Server {
        router: http.router,
        health,
    }
}

#[tokio::test]
async fn all_services_are_listed_and_their_files_told() {
    for path in [INFO, INFO_ALPHA] {
        let answer = server()
            .call(path, asking(MessageRequest::ListServices(String::new())))
            .await;
        assert_eq!(answer.status.code(), Code::Ok);
        let MessageResponse::ListServicesResponse(list) = answered(&answer.body) else {
            panic!("it lists services");
        };
        let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection",
                "org.signal.registration.rpc.RegistrationService",
            ]
        );
        for name in names {
            let symbol = MessageRequest::FileContainingSymbol(name.clone());
            let answer = server().call(path, asking(symbol)).await;
            let MessageResponse::FileDescriptorResponse(files) = answered(&answer.body) else {
                panic!("it tells files");
            };
            let file = FileDescriptorProto::decode(&*files.file_descriptor_proto[0]).unwrap();
            let package = file.package();
            assert!(
                file.service
                    .iter()
                    .any(|service| format!("{package}.{}", service.name()) == name)
            );
        }
    }
}

/// As `grpcurl` does.
#[tokio::test]
async fn questions_are_answered_one_by_one_on_the_same_call() {
    let (ask, questions) = mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::unfold(questions, async |mut questions| {
        let question = questions.recv().await?;
        Some((Ok::<_, std::io::Error>(Frame::data(question)), questions))
    });
    let server = server();
    let request = native(INFO, Body::new(StreamBody::new(Box::pin(stream))));
    let mut body = server.ask(request).await.into_body();
    for _ in 0..3 {
        ask.send(asking(MessageRequest::ListServices(String::new())))
            .await
            .unwrap();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(matches!(
            answered(&frame),
            MessageResponse::ListServicesResponse(_)
        ));
    }
    drop(ask);
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn questions_without_an_end_are_not_read_to_it() {
    let question = asking(MessageRequest::FileByFilename("x".repeat(1000)));
    let (ask, questions) = mpsc::unbounded_channel::<usize>();
    let stream = futures_util::stream::unfold((ask, 0), async move |(ask, read)| {
        // Nobody has asked for so much.
        ask.send(read).ok()?;
        let question = asking(MessageRequest::AllExtensionNumbersOfType("x".repeat(1000)));
        Some((Ok::<_, std::io::Error>(Frame::data(question)), (ask, read + 1)))
    });
    let answer = server()
        .answer(native(INFO, Body::new(StreamBody::new(Box::pin(stream)))))
        .await;
    assert!(answer.body.len() < 3 * MAX_BODY_BYTES);
    drop(answer);
    let mut questions = questions;
    questions.close();
    let mut read = 0;
    while let Some(count) = questions.recv().await {
        read = count;
    }
    assert!(read <= MAX_BODY_BYTES / 1000 + 1, "{read}");
    // What is not there is said, in the form of a status.
    let answer = server().call(INFO, question).await;
    assert_eq!(answer.status.code(), Code::NotFound);
}
