# Indicatieregister: POL104 (IRA0003), POL107, POL108 (IRA0001), POL113.
package iwlz.wlzindicatie

import rego.v1

import data.iwlz.lib

where := input.query.where

names_initial if count(lib.bound(where, "initieelVerantwoordelijkZorgkantoor")) > 0

# A relation that only the bemiddelingsregister knows is looked up, and only where a rule asks for it.
needs contains "instelling" if {
	lib.is_zorgaanbieder
	lib.named(where, "wlzindicatieID")
}

needs contains "zorgkantoor" if {
	lib.is_zorgkantoor
	not names_initial
	lib.named(where, "wlzindicatieID")
}

failed contains {"rule": "ir.party"} if {
	not lib.is_zorgaanbieder
	not lib.is_zorgkantoor
}

failed contains {"rule": "ir.id"} if not lib.named(where, "wlzindicatieID")

failed contains {"rule": "ir.instelling"} if {
	lib.is_zorgaanbieder
	not input.pip.instelling == true
}

failed contains {"rule": "ir.initial-own"} if {
	lib.is_zorgkantoor
	names_initial
	not lib.bound_to_claim(where, "initieelVerantwoordelijkZorgkantoor", "uzovi")
}

involved if input.pip.zorgkantoor == true

failed contains {"rule": "ir.involved"} if {
	lib.is_zorgkantoor
	not names_initial
	not involved
}

failed contains {"rule": "ir.initial-or-involved"} if {
	lib.is_zorgkantoor
	not names_initial
	not involved
}

failed contains {"rule": "ir.matrix", "found": path} if {
	lib.profile.attribute_matrix
	some path in lib.beyond_matrix(["IRA0001", "IRA0002", "IRA0003", "IRA0004"])
}
