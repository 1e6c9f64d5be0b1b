# Bemiddelingsregister, one regiehouder: POL100 (BRA0012).
package iwlz.regiehouder

import rego.v1

import data.iwlz.lib

where := input.query.where

of_instelling if count(lib.bound(where, "instelling")) > 0

failed contains {"rule": "br.regie.id"} if not lib.named(where, "regiehouderID")

failed contains {"rule": "br.regie.instelling"} if not of_instelling

failed contains {"rule": "br.regie.own"} if {
	of_instelling
	not lib.bound_to_claim(where, "instelling", "agb")
}

failed contains {"rule": "br.regie.overdracht", "found": path} if some path in lib.handover

failed contains {"rule": "br.regie.own-bemiddeling", "found": path} if some path in lib.others_bemiddelingen

failed contains {"rule": "br.regie.subentities", "found": node.path} if some node in lib.subentities

failed contains {"rule": "br.regie.matrix", "found": path} if {
	lib.profile.attribute_matrix
	some path in lib.beyond_matrix(["BRA0012"])
}
