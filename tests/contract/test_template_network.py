"""The machines' network: nothing comes in; with `PrivateNetwork` nothing goes out but to AWS."""

from __future__ import annotations

from typing import Any

from template import of_type, raw, resources

NEEDED_WITHOUT_INTERNET = {"ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "logs", "batch"}


def services(kind: str) -> dict[str, dict[str, Any]]:
    """Service to the endpoint of this kind that leads to it."""
    endpoints = of_type("AWS::EC2::VPCEndpoint").values()
    return {each["ServiceName"].split(".", 3)[3]: each for each in endpoints if each["VpcEndpointType"] == kind}


def condition(name: str) -> str | None:
    name_of: str | None = raw()["Resources"][name].get("Condition")
    return name_of


def test_objects_and_rows_take_the_free_way() -> None:
    assert set(services("Gateway")) == {"s3", "dynamodb"}
    for each in services("Gateway").values():
        assert each["RouteTableIds"] == ["Routes"]


def test_a_private_network_reaches_all_that_a_machine_needs() -> None:
    assert set(services("Interface")) == NEEDED_WITHOUT_INTERNET
    for name, resource in resources().items():
        if resource["Type"] == "AWS::EC2::VPCEndpoint" and resource["Properties"]["VpcEndpointType"] == "Interface":
            assert condition(name) == "IsPrivate"
            assert resource["Properties"]["PrivateDnsEnabled"]


def test_a_private_network_has_no_way_to_the_internet() -> None:
    kinds = {"AWS::EC2::InternetGateway", "AWS::EC2::VPCGatewayAttachment", "AWS::EC2::Route"}
    ways = [name for name, each in resources().items() if each["Type"] in kinds]
    assert len(ways) == 3
    assert {condition(name) for name in ways} == {"IsPublic"}
    for subnet in of_type("AWS::EC2::Subnet").values():
        assert subnet["MapPublicIpOnLaunch"] == {"Fn::If": ["IsPublic", True, False]}


def test_nothing_comes_in_to_a_machine() -> None:
    group = of_type("AWS::EC2::SecurityGroup")["MachineGroup"]
    assert "SecurityGroupIngress" not in group


def test_with_flow_logs_every_connection_is_on_record_for_as_long_as_logs_are() -> None:
    (flow_log,) = of_type("AWS::EC2::FlowLog").values()
    assert (flow_log["ResourceId"], flow_log["TrafficType"]) == ("Network", "ALL")
    assert of_type("AWS::Logs::LogGroup")[flow_log["LogGroupName"]]["RetentionInDays"] == "LogDays"
    assert raw()["Parameters"]["FlowLogs"]["Default"] == "false"
    assert {condition(name) for name in ("NetworkFlowLog", "NetworkLogs", "FlowLogsRole")} == {"HasFlowLogs"}
