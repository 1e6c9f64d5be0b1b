# Bemiddelingsregister, a client as the zorgkantoor of one of its bemiddelingen reads it: POL110.
package iwlz.client

import rego.v1

import data.iwlz.lib

owners := {value |
	some each in input.query.where.all
	[each.field, each.op] == ["bemiddeling", "some"]
	some value in lib.bound(each.value, "verantwoordelijkZorgkantoor")
}

failed contains {"rule": "br.client.claim"} if not lib.claim("uzovi")

failed contains {"rule": "br.client.zorgkantoor"} if count(owners) == 0

failed contains {"rule": "br.client.own"} if {
	count(owners) > 0
	not lib.claim("uzovi") in owners
}

failed contains {"rule": "br.client.others", "found": node.path} if {
	lib.profile.attribute_matrix
	some node in input.query.nodes
	node.parent == "Client"
	node.field == "bemiddeling"
	not lib.bound_to_claim(node.where, "verantwoordelijkZorgkantoor", "uzovi")
}
