//! The messages and the services, made of the `.proto` files beside this one, each package in the module of its name.

#![expect(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "they are generated; what they mean stands in the .proto files"
)]

/// What gRPC says of an error besides its code.
pub mod rpc {
    tonic::include_proto!("google.rpc");
}

/// All packages of the protocol.
pub mod zitadel {
    pub mod v1 {
        tonic::include_proto!("zitadel.v1");
    }

    pub mod auth {
        pub mod v1 {
            tonic::include_proto!("zitadel.auth.v1");
        }
    }

    pub mod object {
        pub mod v2 {
            tonic::include_proto!("zitadel.object.v2");
        }
    }

    pub mod user {
        pub mod v1 {
            tonic::include_proto!("zitadel.user.v1");
        }

        pub mod v2 {
            tonic::include_proto!("zitadel.user.v2");
        }
    }
}
