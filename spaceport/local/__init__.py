"""The embedded cloud: template.yaml deployed to an AWS that runs on this machine and listens on loopback only."""
