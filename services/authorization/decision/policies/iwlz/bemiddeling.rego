# Bemiddelingsregister, a bemiddeling as its own zorgkantoor reads it: POL111; as CIZ reads it: BRA0011 and BRA0014 (UCBR-0010, 0011).
# The decision point itself asks whether a relation exists (POL104, POL107, POL113), and sees nothing but wlzIndicatieID.
package iwlz.bemiddeling

import rego.v1

import data.iwlz.lib

where := input.query.where

of_zorgkantoor if count(lib.bound(where, "verantwoordelijkZorgkantoor")) > 0

pip_shape if {
	lib.is_pip
	lib.named(where, "wlzIndicatieID")
	every node in input.query.nodes {
		node.path == "wlzIndicatieID"
	}
}

ciz_reads if {
	lib.is_ciz
	lib.profile.ciz_reads_bemiddelingsregister
}

as_owner if {
	not pip_shape
	not ciz_reads
}

failed contains {"rule": "br.bemiddeling.claim"} if {
	as_owner
	not lib.claim("uzovi")
}

failed contains {"rule": "br.bemiddeling.zorgkantoor"} if {
	as_owner
	not of_zorgkantoor
}

failed contains {"rule": "br.bemiddeling.own"} if {
	as_owner
	of_zorgkantoor
	not lib.bound_to_claim(where, "verantwoordelijkZorgkantoor", "uzovi")
}

failed contains {"rule": "br.bemiddeling.others", "found": node.path} if {
	as_owner
	lib.profile.attribute_matrix
	some node in input.query.nodes
	node.parent == "Client"
	node.field == "bemiddeling"
	not lib.bound_to_claim(node.where, "verantwoordelijkZorgkantoor", "uzovi")
}

failed contains {"rule": "br.bemiddeling.ciz-id"} if {
	ciz_reads
	not lib.named(where, "wlzIndicatieID")
}

failed contains {"rule": "br.bemiddeling.ciz-matrix", "found": path} if {
	ciz_reads
	some path in lib.beyond_matrix(["BRA0011", "BRA0014"])
}
