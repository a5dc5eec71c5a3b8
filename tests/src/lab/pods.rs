//! Making pods: addresses and names by the plan, then namespaces, truth and veths.

use anyhow::{Context as _, Result, bail, ensure};

use super::{Lab, raise};
use crate::{
    names::{branch_veth, host_veth},
    namespace::Namespace,
    node::Node,
    plan::PodPlan,
    pod::{Pod, PodInfo, SecondVeth},
    tool,
    truth::{self, POD_TRUTH, Watched},
    wiring::{
        branch_eni::{self, End},
        second_veth,
    },
};

impl Lab {
    /// Wires pods as the CNI would.
    pub(super) fn make_pods(&mut self, plans: Vec<PodPlan>) -> Result<Vec<Pod>> {
        let mut made: Vec<Pod> = Vec::new();
        let names: Vec<String> = plans.iter().map(|plan| self.pod_namespace(plan)).collect();
        raise::make_namespaces(&names)?;
        for (plan, name) in plans.into_iter().zip(&names) {
            let key = format!("{}/{}", plan.namespace, plan.name);
            ensure!(
                self.pods.iter().chain(&made).all(|pod| pod.key() != key),
                "lab {} has a pod {key} already",
                self.name
            );
            let number = self.pods_made;
            self.pods_made += 1;
            made.push(Pod::new(self.pod_info(
                plan,
                number,
                Namespace::open(name)?,
            )?));
        }
        for pod in &made {
            // Before the veth, so that the first packet is counted.
            tool::feed(
                pod.namespace().command("nft").args(["-f", "-"]),
                &truth::script(&Watched {
                    links: POD_TRUTH,
                    mtu: self.mtu,
                    delivered: false,
                    flows: self.flow_truth,
                }),
            )?;
        }
        for pod in &made {
            self.lay_branch_eni(pod.info())?;
        }
        raise::wire_pods(&made, self.mtu, self.veth_offloads)?;
        self.pods.extend(made.iter().cloned());
        Ok(made)
    }

    fn pod_info(&self, plan: PodPlan, number: usize, namespace: Namespace) -> Result<PodInfo> {
        let node = self.node(&plan.node)?;
        if plan.eni >= node.info().enis() {
            bail!("node {} has no ENI number {}", plan.node, plan.eni);
        }
        let mut addresses = Vec::new();
        // The number never repeats in a lab, so no address is used twice.
        if self.family.has_v4() {
            addresses.push(node.info().addresses.pod_v4(plan.eni, number)?.into());
        }
        if self.family.has_v6() {
            addresses.push(node.info().addresses.pod_v6(number).into());
        }
        let named = if plan.vlan.is_some() {
            branch_veth
        } else {
            host_veth
        };
        let veth = named(&plan.namespace, &plan.name);
        let second_veths = second_veths(&plan, &node, number)?;
        Ok(PodInfo {
            plan,
            number,
            node,
            namespace,
            veth,
            addresses,
            second_veths,
        })
    }

    /// The VPC's side of a pod with security groups of its own.
    fn lay_branch_eni(&self, pod: &PodInfo) -> Result<()> {
        let Some(vlan) = pod.plan.vlan else {
            return Ok(());
        };
        let [address] = pod.addresses[..] else {
            bail!("security groups for pods need a lab of one family");
        };
        let node = pod.node.info();
        let (inside, router) = (pod.node.namespace(), &self.router);
        let ends = [
            (inside, End::of_node(node, vlan)),
            (router, End::of_router(node, vlan)),
        ];
        for (namespace, end) in ends {
            if namespace.ip(&[end.as_vlan(vlan)]).is_err() {
                let made = namespace.ip(&[end.as_macvlan()]);
                made.context("neither a VLAN nor a macvlan can be made")?;
            }
        }
        let lines = branch_eni::router_side(node, vlan, address);
        self.router.ip(&lines)
    }

    fn pod_namespace(&self, plan: &PodPlan) -> String {
        self.name
            .namespace(&format!("{}.{}", plan.namespace, plan.name))
    }
}

fn second_veths(plan: &PodPlan, node: &Node, number: usize) -> Result<Vec<SecondVeth>> {
    let PodPlan {
        namespace, name, ..
    } = plan;
    let mut veths = Vec::new();
    if let Some(host) = plan.egress {
        let address = second_veth::egress_address(host);
        veths.push(SecondVeth::egress(namespace, name, address));
    }
    if plan.second_nic {
        let address = node.info().addresses.pod_v4(1, number)?;
        veths.push(SecondVeth::nic(namespace, name, address.into()));
    }
    Ok(veths)
}
