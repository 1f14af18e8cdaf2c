//! The pipeline file: types, validation, JSON schema and blueprints.
