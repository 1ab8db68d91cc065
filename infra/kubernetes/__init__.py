"""The cluster: manifests, what is rendered into them from `settings.toml`, and the topics of a Kafka that is not ours."""
