"""From a built tree to an Ansible project that brings it to the hosts, stage by stage, and back."""
