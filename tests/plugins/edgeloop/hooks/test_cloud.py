"""The cloud profile: one Connection, verified TLS, real tokens."""

import json

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.cloud import CloudHook
from include.standin.home import Home, free_port_base


def other(connections, monkeypatch, **changed):
    said = connections["edgeloop_cloud"]
    extra = {**said["extra"], **changed.pop("extra", {})}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_CLOUD", json.dumps({**said, **changed, "extra": extra}))
    return CloudHook("other_cloud")


def test_a_token_for_the_resource_manager(cloud, connections):
    hook = CloudHook()
    assert hook.token(hook.profile.arm_scope).count(".") == 2
    ok, said = hook.test_connection()
    assert ok, said


def test_a_wrong_secret_is_refused_in_entras_words(cloud, connections, monkeypatch):
    hook = other(connections, monkeypatch, password="wrong")
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        hook.token(hook.profile.arm_scope)
    assert not hook.test_connection()[0]


def test_a_wrong_ca_is_refused(cloud, connections, monkeypatch, tmp_path):
    stranger = Home.create(tmp_path / "stranger", free_port_base(1), ["north"])
    hook = other(connections, monkeypatch, extra={"ca_bundle": str(stranger.ca)})
    with pytest.raises((ClientAuthenticationError, ServiceRequestError), match=r"(?i)certificate.verify.failed"):
        hook.token(hook.profile.arm_scope)


@pytest.mark.parametrize("field", ["tenant_id", "subscription_id", "resource_group"])
def test_a_missing_field_is_named(connections, monkeypatch, field):
    with pytest.raises(ConnectionIncomplete, match=rf"other_cloud lacks '{field}' in its extra.*docs/connections.md"):
        _ = other(connections, monkeypatch, extra={field: ""}).profile


def test_the_public_cloud_is_the_default(monkeypatch):
    extra = {"tenant_id": "t", "subscription_id": "s", "resource_group": "r"}
    monkeypatch.setenv("AIRFLOW_CONN_PUBLIC", json.dumps({"conn_type": "generic", "extra": extra}))
    profile = CloudHook("public").profile
    assert profile.authority == "https://login.microsoftonline.com"
    assert profile.resource_manager == "https://management.azure.com"
    assert profile.approval == "person"
    assert profile.verify is True
